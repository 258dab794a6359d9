"""What `cxm status` tells: read from state, warehouse and published folder, without Dagster."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb

from orchestration.publish import DATABASE_NAME, current_publication, publications
from orchestration.settings import Settings
from orchestration.sources import last_attempt

_LATEST_CHECKS = """
    select asset_key, check_name, execution_status
    from asset_check_executions
    where id in (
        select max(id) from asset_check_executions
        where execution_status in ('SUCCEEDED', 'FAILED') group by asset_key, check_name
    ) and execution_status = 'FAILED'
"""


def read_status(settings: Settings) -> dict[str, Any]:
    """Loads, freshness, quarantine, findings, failed checks, alerts and the published version."""
    mapping = settings.mapping()
    kept = publications(settings.published)
    current = current_publication(settings.published)
    accounts: dict[str, dict[str, Any]] = {}
    quarantine: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    is_building = False
    database = settings.warehouse
    try:
        duckdb.connect(str(database), read_only=True).close()
    except duckdb.IOException:  # absent, or a run is writing it
        is_building = database.exists()
        database = settings.published / "current" / DATABASE_NAME
    if database.exists():
        with duckdb.connect(str(database), read_only=True) as connection:
            if _has_quality(connection):
                accounts = {row["source"]: row for row in _rows(connection, _ACCOUNTS)}
                quarantine = _rows(connection, _QUARANTINE)
                findings = _rows(connection, "select * from quality.findings order by all")
    sources = []
    for source in mapping.sources:
        attempt = last_attempt(settings, mapping, source)
        account = accounts.get(source, {})
        sources.append(
            {
                "source": source,
                "last_attempt": attempt.at if attempt else None,
                "error": attempt.error if attempt else None,
                "notes": attempt.notes if attempt else [],
                "newest": account.get("newest"),
                **{k: account.get(k, 0) for k in ("received", "accepted", "quarantined")},
            }
        )
    return {
        "published": None
        if current is None
        else {"version": current.version, "as_of": current.as_of, "at": current.published_at},
        "rolled_back": current is not None and kept[-1].version != current.version,
        "is_building": is_building,
        "versions": [publication.version for publication in kept],
        "sources": sources,
        "quarantine": quarantine,
        "findings": findings,
        "failed_checks": _failed_checks(
            settings.dagster_home, {mapping.spec.dataset(source) for source in mapping.sources}
        ),
        "alerts": _alerts(
            settings.home / "alerts.jsonl", since=kept[-1].published_at if kept else ""
        ),
    }


# a file that feeds two concepts is two accounts, but its documents were received once
_ACCOUNTS = """
    with received as (
        select source, source_table, load_id, max(received) as received,
            max(extracted_at) as extracted_at
        from quality.load_accounts group by all
    ), set_aside as (
        select source, count(distinct (source_table, load_id, origin, origin_row)) as quarantined
        from quality.quarantine group by source
    )
    select source, max(extracted_at) as newest, sum(received)::bigint as received,
        (sum(received) - coalesce(any_value(quarantined), 0))::bigint as accepted,
        coalesce(any_value(quarantined), 0) as quarantined
    from received left join set_aside using (source) group by source
"""

_QUARANTINE = """
    select source, source_table, origin, column_name, reason, count(distinct origin_row) as rows,
        min(origin_row) as example_row, arg_min(value, origin_row) as example_value
    from quality.quarantine where is_open group by all order by all
"""


def _has_quality(connection: duckdb.DuckDBPyConnection) -> bool:
    row = connection.execute(
        "select count(*) from duckdb_tables() where schema_name = 'quality'"
        " and table_name in ('load_accounts', 'quarantine', 'findings')"
    ).fetchone()
    return row is not None and row[0] == 3


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _failed_checks(dagster_home: Path, datasets: set[str]) -> list[dict[str, str]]:
    """From Dagster's own store; importing Dagster to ask would take seconds."""
    store = dagster_home / "history" / "runs" / "index.db"
    if not store.exists():
        return []
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        try:
            rows = connection.execute(_LATEST_CHECKS).fetchall()
        except sqlite3.OperationalError:  # no check has run yet
            return []
    failed = [(json.loads(asset), check) for asset, check, _ in rows]
    return [
        {"asset": "/".join(key), "check": check}
        for key, check in failed
        if key[0] != "lake" or key[1] in datasets  # not those of another company, or of the past
    ]


def _alerts(path: Path, since: str) -> list[dict[str, str]]:
    """Alerts since the last publication: older ones have been dealt with."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [line for line in lines if line["at"] >= since][-5:]
