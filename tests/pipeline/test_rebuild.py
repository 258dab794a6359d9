"""However the same files arrive, and whatever is lost, the marts come out the same."""

import shutil
from pathlib import Path

from tests.support import Home, table_hashes


def test_an_updated_row_replaces_the_one_before(in_batches: Home) -> None:
    """A merge without a key would have kept both: O2 came in one load and, changed, in another."""
    versions = in_batches.warehouse(
        "select count(*), count(distinct load_id) from staging.stg__orders where order_id = 'O2'"
    )
    assert versions == [(2, 2)]
    orders = "select status, count(*) from marts.fct_orders where order_id = 'O2' group by 1"
    assert in_batches.warehouse(orders) == [("canceled", 1)]


def test_batches_in_any_order_give_the_marts_of_one_batch(harbor: Home, in_batches: Home) -> None:
    """The warehouse as four builds left it, then what a run makes from nothing but the lake."""
    loads = "select count(distinct load_id) from quality.load_accounts where source = 'shop'"
    assert (in_batches.warehouse(loads), harbor.warehouse(loads)) == ([(4,)], [(1,)])
    assert table_hashes(in_batches.path / "warehouse.duckdb") == harbor.mart_hashes()
    (in_batches.path / "warehouse.duckdb").unlink()
    assert in_batches.run()["published_new"]
    assert in_batches.mart_hashes() == harbor.mart_hashes()


def test_a_run_with_nothing_new_publishes_nothing(in_batches: Home) -> None:
    before, versions = in_batches.mart_hashes(), in_batches.status()["versions"]
    files = sorted(p for p in (in_batches.path / "lake").rglob("*") if p.is_file())
    outcome = in_batches.run()
    assert outcome["succeeded"] and not outcome["published_new"]
    assert in_batches.mart_hashes() == before
    assert in_batches.status()["versions"] == versions
    assert sorted(p for p in (in_batches.path / "lake").rglob("*") if p.is_file()) == files


def test_a_changed_mapping_is_applied_to_what_is_in_the_lake(in_batches: Home) -> None:
    loads = "select distinct source, load_id from quality.load_accounts order by all"
    statuses = (
        "select count(*) filter (where status = 'canceled'),"
        " count(*) filter (where status = 'returned') from marts.fct_orders"
    )
    before, (canceled, returned) = in_batches.query(loads), in_batches.one(statuses)
    assert canceled > 0 and returned == 0
    folder = in_batches.config.parent
    kept = Path(shutil.copytree(folder, folder.with_name("kept")))
    mapping = in_batches.config.read_text().replace("then 'canceled'", "then 'returned'")
    in_batches.config.write_text(mapping)
    for path in folder.rglob("*.csv"):  # all that is needed is in the lake
        path.unlink()
    try:
        outcome = in_batches.run(check=False)
    finally:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    assert outcome["succeeded"] and outcome["published_new"]
    assert set(outcome["failed_sources"]) == {"shop", "crm"}
    assert in_batches.query(loads) == before
    assert in_batches.one(statuses) == (0, canceled)


def test_a_full_refresh_after_all_that_gives_the_same_again(harbor: Home, in_batches: Home) -> None:
    assert in_batches.run("--full-refresh")["published_new"]
    assert in_batches.mart_hashes() == harbor.mart_hashes()
