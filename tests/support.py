"""What several tests need: a company in a folder, and running the whole thing on it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import exclusive

ROOT = Path(__file__).parent.parent
NOW = "2026-10-02T06:00:00+00:00"


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder that the first worker to need it makes for all; nobody changes what is in it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, made = root / name, root / f"{name}.made"
    with exclusive(root / f"{name}.lock", f"the making of {name}", wait_seconds=1800):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            made.touch()
    return folder


@dataclass(frozen=True)
class Home:
    """One installation: its state folder and its mapping."""

    path: Path
    config: Path
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "CXM_HOME": str(self.path),
            "CXM_CONFIG": str(self.config),
            "CXM_NOW": NOW,
            "CXM_PROGRESS": "",
            **dict(self.extra),
        }

    def cxm(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "orchestration.cli", *arguments],
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"cxm {' '.join(arguments)} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def run(self, *arguments: str, check: bool = True) -> dict[str, Any]:
        done = self.cxm("run", "--json", *arguments, check=check)
        return json.loads(done.stdout)

    def status(self) -> dict[str, Any]:
        return json.loads(self.cxm("status", "--json").stdout)

    @property
    def published(self) -> Path:
        return self.path / "published" / "current" / "cxm.duckdb"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the published marts."""
        with duckdb.connect(str(self.published), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def warehouse(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def one(self, sql: str) -> Any:
        rows = self.query(sql)
        assert len(rows) == 1, rows
        return rows[0][0] if len(rows[0]) == 1 else rows[0]

    def mart_hashes(self) -> dict[str, str]:
        """A hash of the rows of each mart, whatever their order."""
        return table_hashes(self.published)


# These tell of the publications before, which homes that are compared do not share.
OF_PUBLICATIONS = ("kpi_changes", "customer_360_history")


def table_hashes(database: Path, schema: str = "marts") -> dict[str, str]:
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables()"
            " where schema_name = $1 and table_name not in $2 order by 1",
            [schema, OF_PUBLICATIONS],
        ).fetchall()
        hashes = {}
        for (table,) in tables:
            row = connection.execute(
                f"select count(*) || '-' || coalesce(sum(hash(t)::hugeint), 0)"
                f" from {schema}.{table} t"
            ).fetchone()
            assert row
            hashes[table] = row[0]
    return hashes
