"""What the warehouse must know to read the lake: complete files and what their columns mean."""

import hashlib
import json
from datetime import datetime
from typing import Any

from ingestion.exports.expressions import Expression
from ingestion.exports.mapping import FieldOf, LoadedMapping
from ingestion.lake import IDENTITY_DATASET, Lake, Load


def build_plan(
    mapping: LoadedMapping, lake: Lake, *, known_at: datetime | None = None
) -> dict[str, Any]:
    """The plan of a build, as plain data.

    Args:
        known_at: leave out loads that arrived later, to see what was known then.
    """
    spec = mapping.spec
    loads = {source: _loads(lake, spec.dataset(source), known_at) for source in spec.sources}
    concepts: dict[str, list[dict[str, Any]]] = {}
    for source, table, file in mapping.tables():
        table_loads = [
            {"load_id": load.load_id, "files": load.files[table]}
            for load in loads[source]
            if table in load.files
        ]
        if not table_loads:
            continue
        source_spec = spec.sources[source]
        for index, record in enumerate(file.all_records()):
            expressions = mapping.expressions[source, table, index]
            concepts.setdefault(record.concept, []).append(
                {
                    "source": source,
                    "table": table,
                    "timezone": file.timezone or source_spec.timezone or spec.timezone,
                    "currency": file.currency or source_spec.currency or spec.reporting_currency,
                    "timestamp_format": file.timestamp_format or None,
                    "decimal_comma": file.decimal_comma,
                    "distinct": record.distinct,
                    "columns": _columns(expressions, nested=file.file_format() != "csv"),
                    "fields": {
                        name: {
                            "sql": expression.sql,
                            "numbers": list(expression.numbers),
                            "reference_source": _reference(record.fields.get(name)),
                        }
                        for name, expression in expressions.items()
                    },
                    "loads": table_loads,
                }
            )
    files = [
        f for ls in loads.values() for load in ls for paths in load.files.values() for f in paths
    ]
    return {
        "company": spec.company,
        "title": spec.name,
        "reporting_timezone": spec.reporting_timezone or spec.timezone,
        "reporting_currency": spec.reporting_currency,
        "stale_after_days": {s: v.stale_after_days for s, v in spec.sources.items()},
        "as_of": lake.newest_extraction(files),
        "known_at": known_at.isoformat() if known_at else None,
        "lake_setup": lake.duckdb_setup(),
        "registry_files": [
            lake.readable(p)
            for p in lake.files(IDENTITY_DATASET, spec.company)
            if p.endswith(".parquet")
        ],
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
    """Of everything that the marts follow from, but for code and registry."""
    return _hash({k: v for k, v in plan.items() if k not in ("lake_setup", "registry_files")})


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _loads(lake: Lake, dataset: str, known_at: datetime | None) -> list[Load]:
    loads = lake.complete_loads(dataset)
    if known_at is None:
        return loads
    return [load for load in loads if datetime.fromisoformat(load.inserted_at) <= known_at]


def _columns(expressions: dict[str, Expression], *, nested: bool) -> dict[str, list[str]]:
    """Path in the document of every column used; in a CSV file a dot is but a part of the name."""
    names = dict.fromkeys(c for e in expressions.values() for c in e.columns)
    return {name: name.split(".") if nested else [name] for name in names}


def _reference(value: str | FieldOf | None) -> str | None:
    return value.of if isinstance(value, FieldOf) else None
