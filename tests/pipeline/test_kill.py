"""A run that is killed, wherever it stands, costs a repeat and nothing else."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration.publish import current_publication
from tests.pipeline.company import write_company
from tests.pipeline.conftest import Homes
from tests.support import ROOT, Home

Reached = Callable[[Home, str], bool]  # of a home, and what the run has said so far


def said(text: str) -> Reached:
    return lambda home, output: text in output


def dbt_has_built(nodes: int) -> Reached:
    def reached(home: Home, output: str) -> bool:
        log = home.path / "dbt" / "logs" / "console.log"
        return "building the warehouse" in output and (
            log.exists() and log.read_text(errors="replace").count(" OK ") >= nodes
        )

    return reached


def loading_writes(home: Home, output: str) -> bool:
    """The lake has files of a load that is not complete."""
    if "loading shop ..." not in output:
        return False
    marks = list((home.path / "lake" / "harbor_shop" / "_dlt_loads").glob("*.jsonl"))
    loads = {p.name.rsplit(".", 2)[0] for p in (home.path / "lake/harbor_shop").glob("*/*.parquet")}
    return len(loads) > len(marks)


# each moment, and the files that arrive before the run that dies there
MOMENTS: list[tuple[str, Reached, list[str]]] = [
    ("while loading", loading_writes, []),
    ("in the first build", dbt_has_built(30), []),
    ("after the registry, before a version", said("publishing ..."), ["lines_1"]),
    ("in an incremental build", dbt_has_built(80), ["lines_2", "orders_2", "answers_1"]),
    ("before the report", said("writing the report ..."), ["*"]),
]


def run_and_kill(home: Home, reached: Reached) -> None:
    """Start `cxm run` and kill it with all its children once a moment is reached."""
    log = home.path / "killed.log"
    with log.open("w") as handle:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", "run"],
            env={**home.env, "CXM_PROGRESS": "1", "COLUMNS": "200"},
            cwd=ROOT,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
        )
    try:
        give_up = time.monotonic() + 600  # a run that waits for what a dead one holds
        while process.poll() is None and not reached(home, log.read_text()):
            assert time.monotonic() < give_up, f"the run hangs:\n{log.read_text()}"
            time.sleep(0.005)
    finally:
        ended = process.poll()
        if ended is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert ended is None, f"the run ended with {ended} before the moment:\n{log.read_text()}"


def assert_whole(published: Path) -> str | None:
    """What readers see opens, and all of it is of one version; returns which."""
    if not (published / "current").exists():
        assert not (published / "current").is_symlink()
        return None
    publication = current_publication(published)
    assert publication is not None
    current = (published / "current").resolve()
    with duckdb.connect(str(current / "cxm.duckdb"), read_only=True) as connection:
        (version,) = connection.execute("select version from quality.publication").fetchall()[0]
        rows = {
            table: connection.execute(f"select count(*) from {table}").fetchall()[0][0]
            for table in publication.rows
        }
    assert version == publication.version == current.name
    assert rows == publication.rows
    assert all((current / "parquet" / f"{t.replace('.', '/')}.parquet").exists() for t in rows)
    return publication.version


@pytest.fixture(scope="module")
def survivor(homes: Homes) -> tuple[Home, list[str | None]]:
    """A home whose runs were killed at every moment; and the version to be seen after each."""
    folder = homes.base / "kill"
    home = homes.make("killed", write_company(folder))
    # people and the guest's order are there from the start: who is new to whom decides on ids
    waiting = {
        p.stem: p
        for p in (folder / "shop").glob("*.csv")
        if p.stem.split("_")[0] in ("orders", "lines", "payments", "answers")
        and p.stem not in ("orders_1", "lines_4", "payments_4", "answers_4")
    }
    for path in waiting.values():
        path.rename(path.with_suffix(".later"))
    seen = []
    for _, reached, arrivals in MOMENTS:
        for name in [*waiting] if arrivals == ["*"] else arrivals:
            path = waiting.pop(name)
            path.with_suffix(".later").rename(path)
        run_and_kill(home, reached)
        seen.append(assert_whole(home.path / "published"))
    assert not waiting
    return home, seen


def test_a_kill_at_any_moment_leaves_whole_marts(
    survivor: tuple[Home, list[str | None]], harbor: Home
) -> None:
    """The last run has nothing new to load: it must finish what the one before left undone."""
    home, seen = survivor
    assert seen[:2] == [None, None]  # no run had come as far as a version
    assert seen[-1] is not None
    outcome = home.run()
    assert outcome["succeeded"] and not outcome["errors"], outcome
    assert assert_whole(home.path / "published") == outcome["published_version"]
    assert home.mart_hashes() == harbor.mart_hashes()
    report = (home.path / "reports" / "latest.html").resolve()
    assert report.parent.name == outcome["published_version"]
    leftovers = [
        p
        for pattern in ("published/versions/.draft-*", "state/loads/*-*", "state/*.parquet")
        for p in home.path.glob(pattern)
    ]
    assert leftovers == []


def test_publishing_killed_again_and_again_never_shows_half(tmp_path: Path) -> None:
    """Without the run around it publishing is quick enough to be killed often."""
    warehouse, published = tmp_path / "warehouse.duckdb", tmp_path / "published"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema marts; create schema quality")
        for table in ("customer_360", "fct_orders", "kpi_values"):
            connection.execute(f"create table marts.{table} as select i from range(50_000) t(i)")
    code = textwrap.dedent(f"""
        from datetime import UTC, datetime
        from pathlib import Path
        from orchestration.publish import publish
        while True:
            publish(Path({str(warehouse)!r}), Path({str(published)!r}), fingerprint="f",
                    as_of=None, at=datetime(2026, 1, 1, tzinfo=UTC), keep=2)
    """)
    seen = None
    for attempt in range(12):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)
        current = published / "current"
        while not current.exists() or current.resolve().name == seen:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(attempt * 0.013)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert_whole(published)
        seen = current.resolve().name
