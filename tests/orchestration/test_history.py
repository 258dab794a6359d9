"""What publications leave in the lake: once each, whole, and nobody who was erased."""

from pathlib import Path, PurePosixPath

import duckdb
import pytest

from ingestion.errors import CxmError
from ingestion.lake import Lake
from orchestration import history
from orchestration.history import keep_published, published_before
from orchestration.publish import Publication


def warehouse(folder: Path, customers: dict[str, int], living: tuple[str, ...] = ()) -> Path:
    """A warehouse with these customers and their orders; others may live on in them."""
    path = folder / "warehouse.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create schema marts; create schema kpis; create schema history;"
            "create table marts.dim_kpis as select 'orders' as kpi_id, 1 as kpi_version,"
            " 'h' as definition_hash;"
            "create table marts.kpi_values as select 'orders' as kpi_id, 1 as kpi_version,"
            " 'month' as period_grain, date '2026-01-01' as period_start, 2.0 as value,"
            " '' as unit, '' as stage, '' as owner_team, '' as level, '' as better;"
            "create table history.int_history__customers (customer_id varchar, orders bigint,"
            " content_hash varchar);"
            "create table history.int_history__living (customer_id varchar);"
            "create table kpis.int_kpis__customer_figures (customer_id varchar)"
        )
        for customer, orders in customers.items():
            connection.execute(
                "insert into history.int_history__customers values (?, ?, md5(cast(? as varchar)))",
                [customer, orders, orders],
            )
            connection.execute("insert into kpis.int_kpis__customer_figures values (?)", [customer])
        for customer in (*customers, *living):
            connection.execute("insert into history.int_history__living values (?)", [customer])
    return path


def publication(day: int, fingerprint: str) -> Publication:
    return Publication(f"2026010{day}T000000Z", fingerprint, f"2026-01-0{day}", "", {})


def kept(lake: Lake, kind: str) -> dict[str, list[tuple]]:
    return {
        PurePosixPath(path).stem.partition("__")[2]: duckdb.sql(
            f"select {'customer_id, is_gone, orders' if kind == 'customers' else '*'}"
            f" from '{path}' order by all"
        ).fetchall()
        for path in lake.files("_published", "acme", kind)
    }


def test_only_what_changed_is_kept_and_ids_that_went_are_marked(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    first = warehouse(tmp_path, {"a": 1, "b": 1, "c": 1})
    assert keep_published(first, lake, "acme", publication(1, "f1"))
    second = warehouse(tmp_path, {"a": 1, "b": 2, "d": 1}, living=("c",))
    assert keep_published(second, lake, "acme", publication(2, "f2"))
    assert kept(lake, "customers") == {
        "f1": [("a", False, 1), ("b", False, 1), ("c", False, 1)],
        "f2": [("b", False, 2), ("c", True, None), ("d", False, 1)],
    }
    third = warehouse(tmp_path, {"a": 1, "b": 2, "c": 1, "d": 1})
    assert keep_published(third, lake, "acme", publication(3, "f3"))
    assert kept(lake, "customers")["f3"] == [("c", False, 1)]  # it is back


def test_the_same_is_kept_once_and_not_seen_by_its_own_build(tmp_path: Path) -> None:
    lake, path = Lake(str(tmp_path / "lake")), warehouse(tmp_path, {"a": 1})
    assert keep_published(path, lake, "acme", publication(1, "f1"))
    assert not keep_published(path, lake, "acme", publication(2, "f1"))
    assert keep_published(path, lake, "acme", publication(3, "f2"))
    assert published_before(lake, "acme", "f1") == {kind: [] for kind in history.KINDS}
    for fingerprint, seen in (("f2", 1), ("f3", 2)):
        before = published_before(lake, "acme", fingerprint)
        assert [len(before[kind]) for kind in history.KINDS] == [seen] * 3


def test_whoever_is_erased_is_taken_out_of_what_was_kept(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    keep_published(warehouse(tmp_path, {"a": 1, "z": 1}), lake, "acme", publication(1, "f1"))
    assert ("z", False, 1) in kept(lake, "customers")["f1"]
    keep_published(warehouse(tmp_path, {"a": 1}), lake, "acme", publication(2, "f2"))
    assert kept(lake, "customers") == {"f1": [("a", False, 1)], "f2": []}
    assert kept(lake, "kpi_customers") == {"f1": [("a",)], "f2": [("a",)]}


def test_a_publication_that_died_half_way_does_not_mislead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, path = Lake(str(tmp_path / "lake")), warehouse(tmp_path, {"a": 1})
    keep_published(path, lake, "acme", publication(1, "f1"))

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(history._Keeper, "keep_kpi_values", full)
        with pytest.raises(CxmError, match="is published, but could not be kept"):
            keep_published(path, lake, "acme", publication(2, "f2"))
    before = published_before(lake, "acme", "f2")
    versions = {kind: [Path(f).stem[:9] for f in files] for kind, files in before.items()}
    assert versions["kpi_values"] == versions["kpi_customers"] == ["20260101T"]
    assert keep_published(path, lake, "acme", publication(3, "f2"))
    assert published_before(lake, "acme", "f3")["kpi_values"][-1].endswith("f2.parquet")
    assert len(published_before(lake, "acme", "f2")["kpi_customers"]) == 1
