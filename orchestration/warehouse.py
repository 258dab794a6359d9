"""Building the warehouse: the plan, whether anything is to do, and the registry of customer ids."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.errors import CxmError
from ingestion.exports.mapping import LoadedMapping
from ingestion.exports.plan import (
    build_plan,
    identity_files,
    identity_folder,
    input_hash,
    mapping_hash,
)
from ingestion.lake import Lake
from orchestration.history import published_before, published_until
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT, Settings

BUILD_TABLE = "main.cxm_build"
_CODE_SUFFIXES = {".sql", ".yml", ".csv", ".py"}


@dataclass(frozen=True)
class Fingerprint:
    """What a build follows from. Equal fingerprints, equal marts."""

    staging: str  # what staged rows follow from, but for the documents
    code: str
    inputs: str

    @property
    def build(self) -> str:
        return f"{self.inputs}-{self.code}"


def write_plan(
    settings: Settings, mapping: LoadedMapping, run_id: str = ""
) -> tuple[dict[str, Any], Fingerprint]:
    """Make the plan of a build and put it where dbt reads it, whole or not at all."""
    plan = build_plan(mapping, settings.lake) | {"run_id": run_id}
    code = _hash_files(DBT_PROJECT_DIR, PROJECT_ROOT / "expectations")
    staging = _hash_files(
        DBT_PROJECT_DIR / "macros",
        DBT_PROJECT_DIR / "models" / "staging",
        DBT_PROJECT_DIR / "models" / "unified",
    )
    fingerprint = Fingerprint(f"{staging}-{mapping_hash(plan)}", code, input_hash(plan))
    publications = settings.lake, plan["company"], fingerprint.build
    plan["published"] = published_before(*publications)
    plan["published_until"] = published_until(*publications)
    settings.plan.parent.mkdir(parents=True, exist_ok=True)
    draft = settings.plan.with_suffix(".tmp")
    draft.write_text(json.dumps(plan, indent=1))
    draft.replace(settings.plan)
    return plan, fingerprint


def read_plan(settings: Settings) -> dict[str, Any]:
    """The plan of the last build."""
    return json.loads(settings.plan.read_text())


def project_hash() -> str:
    """Of the dbt project's files: when it changes, the manifest is out of date."""
    return _hash_files(DBT_PROJECT_DIR)


def staged_fingerprint(warehouse: Path) -> str | None:
    """Under which fingerprint the staging tables of a warehouse were built; None if not known."""
    if not warehouse.exists():
        return None
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        known = connection.execute(
            "select count(*) from duckdb_tables() where table_name = 'cxm_build'"
        ).fetchone()
        if not known or not known[0]:
            return None
        row = connection.execute(f"select staging from {BUILD_TABLE}").fetchone()
    return row[0] if row else None


def begin_build(warehouse: Path, *, full_refresh: bool) -> None:
    """Take back what was noted of the last build: one that dies half-way leaves a mix of two."""
    if staged_fingerprint(warehouse) is None:
        return
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"update {BUILD_TABLE} set build = null")
        if full_refresh:
            connection.execute(f"update {BUILD_TABLE} set staging = null")


def record_build(warehouse: Path, fingerprint: Fingerprint, as_of: str) -> None:
    """Note in the warehouse what it was built from."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            f"create or replace table {BUILD_TABLE} as select ? as staging, ? as build, ? as as_of",
            [fingerprint.staging, fingerprint.build, as_of],
        )


def recorded_build(warehouse: Path) -> tuple[str, str]:
    """Fingerprint and `as_of` of the build in a warehouse.

    Raises:
        CxmError: the warehouse was never built to its end.
    """
    row = None
    if staged_fingerprint(warehouse) is not None:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            row = connection.execute(f"select build, as_of from {BUILD_TABLE}").fetchone()
    if row is None or row[0] is None:
        raise CxmError("the warehouse was not built to its end; run `cxm run`")
    return row


def commit_identity(warehouse: Path, lake: Lake, company: str) -> int:
    """Put into the lake what this build knows of identity; returns the number of ids given out.

    The ledger's events, a newly learned matching model and the households come first, the ids of
    customers last: a build that dies in between makes the same again, under the same ids.
    """
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        events, _ = _next_file(lake, company, "ledger")
        _put_rows(connection, lake, events, """
            select * from quality.identity_ledger
            where event_id not in (select event_id from identity.int_identity__ledger)
            order by event_id
        """)  # fmt: skip
        learned = connection.execute(
            "select model from identity.int_identity__match_model where is_new"
        ).fetchone()
        if learned:
            model, _ = _next_file(lake, company, "models")
            lake.write(learned[0].encode(), model)
        households, sequence = _next_file(lake, company, "households")
        _put_rows(connection, lake, households, f"""
            select *, cast({sequence} as bigint) as sequence
            from identity.int_identity__household_moves order by customer_id
        """)  # fmt: skip
        registry, sequence = _next_file(lake, company, "registry")
        return _put_rows(connection, lake, registry, f"""
            select record_key, customer_id, minted_from, assigned_at,
                cast({sequence} as bigint) as sequence
            from identity.int_identity__assignments
            where customer_id is distinct from previous_customer_id
            order by record_key
        """)  # fmt: skip


def append_decisions(lake: Lake, company: str, decisions: pa.Table) -> None:
    """Add what people decided about pairs of records to the lake; the next build follows it."""
    target, _ = _next_file(lake, company, "decisions")
    _put_table(lake, target, decisions)


def _next_file(lake: Lake, company: str, kind: str) -> tuple[str, int]:
    """Path of the next file of a kind that is only ever added to, and its number."""
    written = [PurePosixPath(p) for p in identity_files(lake, company, kind)]
    sequence = max((int(p.stem) for p in written), default=0) + 1
    suffix = "json" if kind == "models" else "parquet"
    return lake.path(*identity_folder(company, kind), f"{sequence:08d}.{suffix}"), sequence


def _put_rows(connection: duckdb.DuckDBPyConnection, lake: Lake, target: str, query: str) -> int:
    """Write the rows of a query as one Parquet file of the lake; none where there are no rows."""
    rows = connection.execute(query).to_arrow_table()
    if rows.num_rows:
        _put_table(lake, target, rows)
    return rows.num_rows


def _put_table(lake: Lake, target: str, table: pa.Table) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    lake.write(buffer.getvalue().to_pybytes(), target)


@dataclass(frozen=True)
class Table:
    rows: int
    columns: list[str]


def tables(warehouse: Path) -> dict[tuple[str, str], Table]:
    """Rows and columns of every table, by schema and name."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name, table_name, list(column_name order by column_index)"
            " from duckdb_columns() where not internal group by all"
        ).fetchall()
        found = {}
        for schema, table, names in columns:
            row = connection.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
            found[schema, table] = Table(int(row[0]) if row else 0, names)
    return found


def _hash_files(*folders: Path) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in _CODE_SUFFIXES and "target" not in path.parts:
                digest.update(str(path.relative_to(PROJECT_ROOT)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
