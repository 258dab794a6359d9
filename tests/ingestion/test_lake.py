from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingestion.errors import CxmError, SourceError
from ingestion.exports.mapping import load_mapping
from ingestion.exports.plan import build_plan
from ingestion.lake import Lake, check_dataset_name
from ingestion.pipeline import source_lock
from tests.ingestion.conftest import HEADER, MAPPING, Company, order_rows


def crash(company: Company, load_id: str, how: str) -> None:
    """Make the lake look as if the process had died while it wrote a load."""
    folder = company.root / "lake" / "acme_shop"
    (mark,) = (folder / "_dlt_loads").glob(f"*{load_id}*")
    (state,) = (folder / "_dlt_pipeline_state").glob(f"*{load_id}*")
    if how == "mark cut":
        mark.write_bytes(mark.read_bytes()[:20])
    else:
        mark.unlink()
    if how == "data only":
        state.unlink()


@pytest.mark.parametrize("how", ["data only", "data and state", "mark cut"])
@pytest.mark.parametrize("loads_before", [0, 1])
def test_a_load_that_died_is_invisible_and_comes_again_once(
    company: Company, how: str, loads_before: int
) -> None:
    if loads_before:
        company.write("orders_1.csv", HEADER + order_rows(1, 2))
        company.load()
    company.write("orders_2.csv", HEADER + order_rows(3, 4))
    load_id = company.load().result.load_id
    assert load_id
    crash(company, load_id, how)
    seen = ["1", "2"] if loads_before else []
    assert company.loaded_keys() == seen
    assert company.load().result.documents["orders"] == 2
    assert company.loaded_keys() == [*seen, "3", "4"]
    assert not [path for path in company.lake.files("acme_shop") if load_id in path]
    assert company.load().result.load_id is None


def test_discarding_leaves_complete_loads_alone(company: Company) -> None:
    company.write("orders_1.csv", HEADER + order_rows(1))
    company.load()
    before = company.lake.files("acme_shop")
    assert company.lake.discard_incomplete("acme_shop") == 0
    (company.root / "lake/acme_shop/orders/1.5.abc.parquet").write_bytes(b"cut")
    assert company.lake.discard_incomplete("acme_shop") == 1
    assert company.lake.files("acme_shop") == before


def test_a_second_loader_is_turned_away(company: Company) -> None:
    company.write("orders.csv", HEADER + order_rows(1))
    with (
        source_lock(company.root / "state", "acme_shop"),
        pytest.raises(SourceError, match="'acme_shop' is being loaded by another process"),
    ):
        company.load()
    assert company.load().result.documents == {"orders": 1}


@pytest.mark.parametrize("name", ["a lake", "lake #1 (100%)", "läke's"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    company = Company(tmp_path, Lake(str(tmp_path / name)))
    company.write("mapping.yml", MAPPING)
    company.write("orders.csv", HEADER + order_rows(1, 2))
    company.load()
    assert company.loaded_keys() == ["1", "2"]
    assert Lake((tmp_path / name).as_uri()).complete_loads(
        "acme_shop"
    ) == company.lake.complete_loads("acme_shop")


def test_an_absent_lake_is_empty(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "none"))
    assert lake.complete_loads("acme_shop") == []
    assert lake.discard_incomplete("acme_shop") == 0
    assert lake.newest_extraction([]) is None
    assert lake.duckdb_setup() == []


def test_a_plan_sees_what_was_known_at_a_time(company: Company) -> None:
    mapping = load_mapping(company.root / "mapping.yml")
    assert build_plan(mapping, company.lake)["concepts"] == {}
    company.write("orders_1.csv", HEADER + order_rows(1))
    company.load()
    company.write("orders_2.csv", HEADER + order_rows(2))
    company.load()
    first, second = company.lake.complete_loads("acme_shop")
    first_at = datetime.fromisoformat(first.inserted_at)

    def load_ids(known_at: datetime | None) -> list[str]:
        entries = build_plan(mapping, company.lake, known_at=known_at)["concepts"].get("order", [])
        return [load["load_id"] for entry in entries for load in entry["loads"]]

    assert load_ids(None) == [first.load_id, second.load_id]
    assert load_ids(first_at) == [first.load_id]
    assert load_ids(first_at - timedelta(microseconds=1)) == []
    assert build_plan(mapping, company.lake)["as_of"] == "2026-05-01 12:00:00.000000"


def test_a_source_named_as_the_warehouse_is_refused() -> None:
    with pytest.raises(CxmError, match="'warehouse' is the name of the warehouse file"):
        check_dataset_name("warehouse")
