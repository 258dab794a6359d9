"""Publishing: one swap, old versions kept, a full disk harmless, readers undisturbed."""

import multiprocessing
import os
import resource
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from ingestion.errors import CxmError
from orchestration.publish import current_publication, publications, publish, rollback

AT = datetime(2026, 1, 1, tzinfo=UTC)


def make_warehouse(path: Path, version: int, rows: int = 10) -> Path:
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts; create schema quality")
        for table in ("customer_360", "fct_orders"):
            connection.execute(
                f"create table marts.{table} as"
                f" select {version} as build, i from range({rows}) t(i)"
            )
        connection.execute("create table quality.findings as select 1 as records")
        connection.execute("comment on table marts.fct_orders is 'It''s one row per order'")
        connection.execute("comment on column marts.fct_orders.i is 'Number'")
    return path


def publish_build(tmp_path: Path, version: int, keep: int = 3) -> str:
    warehouse = make_warehouse(tmp_path / "warehouse.duckdb", version)
    return publish(
        warehouse, tmp_path / "published", fingerprint=str(version), as_of=None, at=AT, keep=keep
    ).version


def read_build(published: Path) -> int:
    with duckdb.connect(str(published / "current" / "cxm.duckdb"), read_only=True) as connection:
        row = connection.execute("select max(build) from marts.customer_360").fetchone()
    assert row
    return row[0]


def test_the_current_version_has_the_marts_as_duckdb_and_as_parquet(tmp_path: Path) -> None:
    version = publish_build(tmp_path, 1)
    current = tmp_path / "published" / "current"
    assert read_build(tmp_path / "published") == 1
    rows = duckdb.sql(f"select count(*) from '{current}/parquet/marts/fct_orders.parquet'")
    assert rows.fetchone() == (10,)
    found = current_publication(tmp_path / "published")
    assert found and (found.version, found.fingerprint) == (version, "1")
    assert found.rows["marts.customer_360"] == 10


def test_the_last_versions_are_kept_and_rollback_goes_back(tmp_path: Path) -> None:
    published = tmp_path / "published"
    names = [publish_build(tmp_path, build) for build in range(1, 6)]
    assert [p.version for p in publications(published)] == names[-3:]
    assert rollback(published).version == names[3]
    assert read_build(published) == 4
    assert rollback(published, to=names[2]).version == names[2]
    with pytest.raises(CxmError, match="oldest version kept"):
        rollback(published)
    with pytest.raises(CxmError, match=f"no version 'nope'; kept are {names[2]}"):
        rollback(published, to="nope")
    publish_build(tmp_path, 6)
    assert read_build(published) == 6


def test_a_warehouse_without_marts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(CxmError, match="no marts yet"):
        publish(path, tmp_path / "p", fingerprint="", as_of=None, at=AT, keep=1)
    assert current_publication(tmp_path / "p") is None


def test_a_draft_left_by_a_dead_run_is_swept_away(tmp_path: Path) -> None:
    draft = tmp_path / "published" / "versions" / ".draft-20250101T000000Z"
    draft.mkdir(parents=True)
    (draft / "cxm.duckdb").write_bytes(b"half")
    publish_build(tmp_path, 1)
    assert not draft.exists()


def test_a_full_disk_leaves_the_version_before(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: writing fails the same way."""
    first = publish_build(tmp_path, 1)
    make_warehouse(tmp_path / "warehouse.duckdb", 2, rows=3_000_000)
    code = textwrap.dedent(f"""
        from datetime import UTC, datetime
        from pathlib import Path
        from ingestion.errors import CxmError
        from orchestration.publish import publish
        base = Path({str(tmp_path)!r})
        try:
            publish(base / "warehouse.duckdb", base / "published", fingerprint="2", as_of=None,
                    at=datetime(2026, 1, 2, tzinfo=UTC), keep=3)
        except CxmError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    )
    assert "the version before stays current" in done.stdout, done.stdout + done.stderr
    assert [p.version for p in publications(tmp_path / "published")] == [first]
    assert read_build(tmp_path / "published") == 1
    assert not list((tmp_path / "published" / "versions").glob(".draft-*"))


def _read_again_and_again(published: Path, stop: Path, results) -> None:  # type: ignore[no-untyped-def]
    reads, mixed, errors = 0, 0, []
    while not stop.exists():
        try:
            file = str(published / "current" / "cxm.duckdb")
            with duckdb.connect(file, read_only=True) as connection:
                builds = connection.execute(
                    "select count(distinct build), count(*) from ("
                    " select build from marts.customer_360 union all"
                    " select build from marts.fct_orders)"
                ).fetchone()
            mixed += builds != (1, 20)
            reads += 1
        except Exception as error:
            errors.append(str(error))
    results.put((reads, mixed, errors[:3]))


def test_a_hundred_swaps_disturb_no_reader(tmp_path: Path) -> None:
    publish_build(tmp_path, 0)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    stop = tmp_path / "stop"
    reader = context.Process(
        target=_read_again_and_again, args=(tmp_path / "published", stop, results)
    )
    reader.start()
    for build in range(1, 101):
        publish_build(tmp_path, build)
    stop.touch()
    reads, mixed, errors = results.get(timeout=60)
    reader.join()
    assert (mixed, errors) == (0, [])
    assert reads > 20
    assert read_build(tmp_path / "published") == 100


def test_the_file_is_written_for_older_clients(tmp_path: Path) -> None:
    publish_build(tmp_path, 1)
    target = os.path.realpath(tmp_path / "published" / "current" / "cxm.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{target}' as published (read_only)")
        tags = connection.execute(
            "select tags from duckdb_databases() where database_name = 'published'"
        ).fetchone()
    assert tags and "v1.2.0" in str(tags[0])


def test_descriptions_travel_with_the_tables(tmp_path: Path) -> None:
    publish_build(tmp_path, 1)
    with duckdb.connect(
        str(tmp_path / "published" / "current" / "cxm.duckdb"), read_only=True
    ) as connection:
        tables = connection.execute(
            "select comment from duckdb_tables() where table_name = 'fct_orders'"
        ).fetchall()
        columns = connection.execute(
            "select column_name, comment from duckdb_columns()"
            " where table_name = 'fct_orders' order by 1"
        ).fetchall()
    assert tables == [("It's one row per order",)]
    assert columns == [("build", None), ("i", "Number")]
