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
            " 'month' as period_grain, date '2026-01-01' as period_start, dimension, 2.0 as value,"
            " '' as unit, '' as stage, '' as owner_team, '' as level, '' as better"
            " from (values ('all'), ('source'), ('region')) as dimensions (dimension);"
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


def test_two_publications_of_one_second_are_kept_in_their_order(tmp_path: Path) -> None:
    lake, path = Lake(str(tmp_path / "lake")), warehouse(tmp_path, {"a": 1})
    for version, fingerprint in (("20260101T000000Z", "f1"), ("20260101T000000Z-0001", "f2")):
        keep_published(path, lake, "acme", Publication(version, fingerprint, "2026-01-01", "", {}))
    files = published_before(lake, "acme", "f3")["kpi_values"]
    assert [Path(file).stem[-2:] for file in files] == ["f1", "f2"]
    assert len(published_before(lake, "acme", "f2")["kpi_values"]) == 1


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


def test_of_the_figures_only_those_of_all_groups_are_kept(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    keep_published(warehouse(tmp_path, {"a": 1}), lake, "acme", publication(1, "f1"))
    [file] = published_before(lake, "acme", "f2")["kpi_values"]
    assert duckdb.sql(f"select dimension from '{file}'").fetchall() == [("all",)]


def test_many_files_become_one_and_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for folder, most in (("many", 30), ("few", 3)):
        monkeypatch.setattr(history, "MOST_FILES", most)
        lake = Lake(str(tmp_path / folder))
        for day in range(1, 9):  # `a` changes each day, `b` on one, `z` is erased at last
            customers = {"a": day, "b": 1 if day < 5 else 2} | ({"z": 1} if day < 8 else {})
            path = warehouse(tmp_path, customers)
            assert keep_published(path, lake, "acme", publication(day, f"f{day}"))
        files = published_before(lake, "acme", "f9")["customers"]
        assert len(files) == (8 if most == 30 else 2)  # 1 to 4, 1 to 7 with them; 8
        seen = []
        for build in range(1, 10):  # what a build repeated reads
            before = published_before(lake, "acme", f"f{build}")["customers"]
            until = history.published_until(lake, "acme", f"f{build}")
            rows = f"from read_parquet({before}) where version < '{until or 9}'" if before else ""
            seen.append(duckdb.sql(f"{rows} order by all").fetchall() if rows else [])
        told.append(seen)
    assert told[0] == told[1]
    assert [len(rows) for rows in told[0]] == [0, 2, 3, 4, 5, 7, 8, 9, 10]
    assert not any("z" in row for rows in told[0] for row in rows)
