"""However the same files arrive, and whatever is lost, the marts come out the same."""

import shutil
from pathlib import Path

import pytest

from ingestion.lake import IDENTITY_DATASET
from tests.pipeline.company import (
    ALONE,
    MAPPING,
    PEOPLE,
    customer,
    order,
    write_batch,
    write_company,
    write_mapping,
)
from tests.pipeline.conftest import Homes, build
from tests.support import Home


def registry(home: Home) -> Path:
    return home.path / "lake" / IDENTITY_DATASET / "registry"


def customers_of(home: Home) -> dict[str, str]:
    """The customer of every record, as the warehouse has it."""
    return dict(
        home.warehouse("select record_key, customer_id from identity.int_identity__assignments")
    )


@pytest.fixture(scope="module")
def in_batches(homes: Homes, harbor: Home) -> Home:
    """The files of `harbor` in four batches out of order, the second system added on the way.

    The ids are given: those that `harbor` gave out.
    """
    folder = homes.base / "batches"
    home = homes.make("in-batches", write_company(folder, [3], crm=False))
    shutil.copytree(registry(harbor), registry(home))
    build(home)
    write_batch(folder, 1)
    build(home)
    write_batch(folder, 4)
    write_mapping(folder)
    build(home)
    write_batch(folder, 2)
    assert home.run()["published_new"]
    return home


def test_batches_in_any_order_give_the_marts_of_one_batch(harbor: Home, in_batches: Home) -> None:
    assert in_batches.mart_hashes() == harbor.mart_hashes()
    loads = "select count(distinct load_id) from quality.load_accounts where source = 'shop'"
    assert (in_batches.one(loads), harbor.one(loads)) == (4, 1)


def test_a_run_with_nothing_new_publishes_nothing(in_batches: Home) -> None:
    before, status = in_batches.mart_hashes(), in_batches.status()
    files = sorted(p for p in (in_batches.path / "lake").rglob("*") if p.is_file())
    outcome = in_batches.run()
    assert outcome["succeeded"] and not outcome["published_new"]
    assert in_batches.mart_hashes() == before
    assert in_batches.status()["versions"] == status["versions"]
    assert sorted(p for p in (in_batches.path / "lake").rglob("*") if p.is_file()) == files


def test_a_full_refresh_changes_nothing(harbor: Home, in_batches: Home) -> None:
    assert in_batches.run("--full-refresh")["published_new"]
    assert in_batches.mart_hashes() == harbor.mart_hashes()


def test_a_changed_mapping_is_applied_to_what_is_in_the_lake(in_batches: Home) -> None:
    folder = in_batches.config.parent
    loads = "select distinct source, load_id from quality.load_accounts order by all"
    before = in_batches.query(loads)
    canceled = "select count(*) from marts.fct_orders where status = "
    assert (in_batches.one(canceled + "'canceled'"), in_batches.one(canceled + "'returned'")) == (
        9,
        0,
    )
    in_batches.config.write_text(
        in_batches.config.read_text().replace("then 'canceled'", "then 'returned'")
    )
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    for path in folder.rglob("*.csv"):  # what is needed is in the lake
        path.unlink()
    try:
        outcome = in_batches.run(check=False)
    finally:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    assert outcome["succeeded"] and outcome["published_new"]
    assert set(outcome["failed_sources"]) == {"shop", "crm"}
    assert in_batches.query(loads) == before
    assert (in_batches.one(canceled + "'canceled'"), in_batches.one(canceled + "'returned'")) == (
        0,
        9,
    )


def test_a_lost_warehouse_comes_back_from_the_lake(harbor: Home, in_batches: Home) -> None:
    write_mapping(in_batches.config.parent)
    (in_batches.path / "warehouse.duckdb").unlink()
    shutil.rmtree(in_batches.path / "published")
    assert in_batches.run()["published_new"]
    assert in_batches.mart_hashes() == harbor.mart_hashes()


def test_of_two_versions_the_later_one_counts(harbor: Home) -> None:
    # O2 comes with batch 1 and, changed, with batch 3; C50 likewise
    assert harbor.one("select status from marts.fct_orders where order_id = 'O2'") == "canceled"
    changed = "select day(updated_at) from unified.person_records where person_record_id = 'C50'"
    assert harbor.warehouse(changed) == [(9,)]


@pytest.mark.parametrize("why", PEOPLE)
def test_records_of_one_person_are_one_customer(harbor: Home, why: str) -> None:
    ids = customers_of(harbor)
    assert len({ids[record] for record in PEOPLE[why]}) == 1
    assert sorted(r for r, i in ids.items() if i == ids[PEOPLE[why][0]]) == sorted(PEOPLE[why])


@pytest.mark.parametrize("why", ALONE)
def test_what_many_share_ties_nobody(harbor: Home, why: str) -> None:
    ids = customers_of(harbor)
    assert len({ids[record] for record in ALONE[why]}) == len(ALONE[why])
    reasons = {
        reason
        for (reason,) in harbor.warehouse(
            "select distinct blocked_by from identity.int_identity__identifiers"
            f" where record_key in {tuple(ALONE[why])} and identifier_type in ('email', 'phone')"
        )
    }
    expected = "role mailbox" if why == "role mailbox" else "shared by more than 20 records"
    assert reasons == {expected}
