"""What the warehouse must know to read the lake: complete files and what their columns mean."""

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from ingestion.exports.mapping import LoadedMapping
from ingestion.exports.paths import elements_sql
from ingestion.exports.records import CheckedRecord
from ingestion.lake import IDENTITY_DATASET, Lake, Load

# what builds before this one left; it follows from the inputs, it is none
_LEFT_BY_BUILDS = (
    "lake_setup", "registry_files", "household_files", "ledger_files", "match_model", "run_id",
    "published",
)  # fmt: skip


def build_plan(
    mapping: LoadedMapping, lake: Lake, *, known_at: datetime | None = None
) -> dict[str, Any]:
    """The plan of a build, as plain data.

    Args:
        known_at: leave out loads that arrived later, to see what was known then.
    """
    spec = mapping.spec
    loads = {name: _loads(lake, spec.dataset(name), known_at) for name in mapping.sources}
    concepts: dict[str, list[dict[str, Any]]] = {}
    for source, table, spec_of_table in mapping.tables():
        table_loads = [
            {"load_id": load.load_id, "files": load.files[table]}
            for load in loads[source]
            if table in load.files
        ]
        if not table_loads:
            continue
        records = spec_of_table.all_records()
        for index, record in enumerate(records):
            same = [n for n, other in enumerate(records) if other.concept == record.concept]
            concepts.setdefault(record.concept, []).append(
                {
                    "source": source,
                    "table": table,
                    "timezone": mapping.timezone(source, table),
                    "currency": mapping.currency(source, table),
                    "timestamp_format": spec_of_table.timestamp_format or None,
                    "decimal_comma": spec_of_table.decimal_comma,
                    "distinct": record.distinct,
                    "history": record.history,
                    "is_file": mapping.sources[source].connector is None,
                    **_reading(mapping.checked[source, table, index], place=same.index(index),
                               of=len(same)),
                    "fields": _fields(mapping, source, table, index),
                    "loads": table_loads,
                }
            )  # fmt: skip
    files = [
        f for ls in loads.values() for load in ls for paths in load.files.values() for f in paths
    ]
    return {
        "company": spec.company,
        "title": spec.name,
        "reporting_timezone": spec.reporting_timezone or spec.timezone,
        "reporting_currency": spec.reporting_currency,
        "stale_after_days": {s: v.stale_after_days for s, v in mapping.sources.items()},
        "as_of": lake.newest_extraction(files),
        "known_at": known_at.isoformat() if known_at else None,
        "lake_setup": lake.duckdb_setup(),
        **_identity(mapping, lake),
        "concepts": concepts,
    }


def mapping_hash(plan: dict[str, Any]) -> str:
    """Of everything in a plan but the data: when it changes, staging is built anew."""
    shape = {
        concept: [{k: v for k, v in entry.items() if k != "loads"} for entry in entries]
        for concept, entries in plan["concepts"].items()
    }
    return _hash([plan["company"], plan["known_at"], shape])


def input_hash(plan: dict[str, Any]) -> str:
    """Of everything that the marts follow from, but for code and what earlier builds left."""
    return _hash({k: v for k, v in plan.items() if k not in _LEFT_BY_BUILDS})


def identity_folder(company: str, kind: str) -> tuple[str, ...]:
    """Where the lake keeps what is known of identity: the registry, and folders beside it."""
    return (IDENTITY_DATASET, company) if kind == "registry" else (IDENTITY_DATASET, company, kind)


def identity_files(lake: Lake, company: str, kind: str) -> list[str]:
    """Paths of what was kept of a kind, oldest first."""
    parts = identity_folder(company, kind)
    folder, suffix = lake.path(*parts), ".json" if kind == "models" else ".parquet"
    return [p for p in lake.files(*parts) if p.rpartition("/")[0] == folder and p.endswith(suffix)]


def _identity(mapping: LoadedMapping, lake: Lake) -> dict[str, Any]:
    """Ids given out, decisions and events so far, and the newest matching model of the company."""
    kept = {
        kind: [lake.readable(p) for p in identity_files(lake, mapping.spec.company, kind)]
        for kind in ("registry", "households", "decisions", "ledger", "models")
    }
    return {
        "registry_files": kept["registry"],
        "household_files": kept["households"],
        "decision_files": kept["decisions"],
        "ledger_files": kept["ledger"],
        "match_model": kept["models"][-1] if kept["models"] else None,
        "identity": mapping.spec.identity.model_dump() | _labels(mapping.spec.identity.labels),
    }


def _labels(path: str | None) -> dict[str, str | None]:
    """The file of labelled records and its content's hash; nothing where it is not there yet."""
    if path is None or not Path(path).exists():
        return {"labels": None, "labels_hash": None}
    return {"labels": path, "labels_hash": hashlib.sha256(Path(path).read_bytes()).hexdigest()}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _loads(lake: Lake, dataset: str, known_at: datetime | None) -> list[Load]:
    loads = lake.complete_loads(dataset)
    if known_at is None:
        return loads
    return [load for load in loads if datetime.fromisoformat(load.inserted_at) <= known_at]


def _reading(checked: CheckedRecord, *, place: int, of: int) -> dict[str, Any]:
    """How staging takes a record out of a document, and which documents it marks.

    `markers`: every document has one row that counts it, so that none is lost from the accounts.
    `none`: the record is that row; `inline`: so it is, where it meets its condition or not;
    `always`: a row more; `never`: another record of the same concept marks it.
    """
    levels = checked.levels
    if place:
        markers = "never"
    elif levels or of > 1:
        markers = "always"
    else:
        markers = "inline" if checked.where else "none"
    shapes = checked.shapes("")
    steps = [elements_sql(n, levels) for n in range(1, len(levels) + 1)]
    return {
        "markers": markers,
        "where": checked.where.sql if checked.where else None,
        "columns": checked.columns(),
        "document_shape": shapes[0],
        "levels": [
            {"elements": elements, "keys": keys, "shape": shape}
            for (elements, keys), shape in zip(steps, shapes[1:], strict=True)
        ],
    }


def _fields(mapping: LoadedMapping, source: str, table: str, index: int) -> dict[str, Any]:
    """Every mapped field of a record; one that names a source which is not there has no value."""
    fields = {}
    for name, expression in mapping.expressions[source, table, index].items():
        reference = mapping.reference(source, table, index, name)
        if reference is not None:
            fields[name] = {
                "sql": expression.sql,
                "numbers": list(expression.numbers),
                "reference_source": reference,
            }
    return fields
