"""A simulated company's records straight into the lake, as its connectors would bring them.

Nothing is asked over HTTP: for measurements with a million customers.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.documents import document_batch
from ingestion.errors import SettingError
from ingestion.lake import Lake
from ingestion.pipeline import LoadResult, dlt, run_into_lake
from ingestion.simulator.company import Company
from ingestion.simulator.projection import Projection
from ingestion.sources.connector import KEY_SEPARATOR, Connector, SourceObject
from ingestion.sql import literal

ROWS_AT_ONCE = 25_000
NUMBERS_IN_PART = 250_000


def write_lake(
    company: Company,
    vendor: ModuleType,
    connector: type[Connector],
    lake: Lake,
    dataset: str,
    *,
    state_dir: Path | None = None,
) -> LoadResult:
    """Load the state of all records of a vendor at the company's clock, as one complete load.

    Args:
        vendor: its module; the projections are those of the connector's objects, by name, or by
            the module's `LAKE_TABLES` (name of an object to name of a projection, None: none).
        state_dir: keeps the lock of the source; by default a folder of its own.

    Raises:
        SettingError: an object of the connector has no projection; nothing was loaded.
    """
    named = {obj.name: obj.name for obj in connector.objects} | getattr(vendor, "LAKE_TABLES", {})
    chosen = [obj for obj in connector.objects if named[obj.name] is not None]
    if unknown := [obj.name for obj in chosen if named[obj.name] not in vendor.PROJECTIONS]:
        raise SettingError(
            f"{vendor.VENDOR}: no projection for {', '.join(unknown)}; "
            "name it in the module's LAKE_TABLES (or None there)"
        )
    if hasattr(vendor, "LAKE_SPLIT"):
        resources = [dlt.resource(_split(company, chosen, *vendor.LAKE_SPLIT), name=vendor.VENDOR)]
    else:
        resources = [
            dlt.resource(_whole(company, obj, vendor.PROJECTIONS[named[obj.name]]), name=obj.name)
            for obj in chosen
        ]
    source = dlt.source(lambda: resources, name=vendor.VENDOR, section=vendor.VENDOR)()
    with tempfile.TemporaryDirectory() as folder:
        return run_into_lake(
            source, lake=lake, dataset=dataset, state_dir=state_dir or Path(folder)
        )


def _whole(company: Company, obj: SourceObject, projection: Projection) -> Iterator[pa.Table]:
    for documents, _ in _batches(company, obj, projection):
        yield documents


def _split(
    company: Company,
    objects: Sequence[SourceObject],
    projection: Projection,
    column: str,
    names: Mapping[str, str],
) -> Iterator[Any]:
    """The records of several objects, made once; they are keyed and ordered alike."""
    [_] = {(obj.key, obj.cursor) for obj in objects}
    for documents, kinds in _batches(company, objects[0], projection, column):
        for kind, name in names.items():
            rows = documents.filter(pc.equal(kinds, kind))
            if rows.num_rows:
                yield dlt.mark.with_table_name(rows, name)


def _batches(
    company: Company, obj: SourceObject, projection: Projection, column: str = "null"
) -> Iterator[tuple[pa.Table, pa.Array]]:
    """Document batches in no particular order, and a column of the projection beside them.

    An archived record is a tombstone.
    """
    key = f" || '{KEY_SEPARATOR}' || ".join(_text_at(path) for path in obj.key)
    cursor = _text_at(obj.cursor) if obj.cursor else "null::varchar"
    sql = f"""
        select document::varchar, {key}, {cursor}, archived_at is not null, {column}
        from (\n{projection.sql}\n)
    """
    rows = 0
    for part in _parts(company, projection):
        for batch in company.batches(sql, ROWS_AT_ONCE, part):
            documents, keys, cursors, deleted, beside = batch.columns
            table = document_batch(
                documents,
                extracted_at=company.clock,
                origin=projection.name,
                keys=keys,
                cursors=cursors,
                deleted=deleted,
                rows=pa.array(np.arange(rows + 1, rows + len(batch) + 1)),
            )
            rows += len(batch)
            yield table, beside


def _parts(company: Company, projection: Projection) -> list[str]:
    """Conditions on `number` by which a projection is read bit by bit: each number fits one."""
    if projection.numbered is None:
        return ["true"]
    table, column = projection.numbered
    [(count, first, last)] = company.query(
        f"select count(*), min({column}), max({column}) from world.{table}"
    )
    most = math.ceil(count / NUMBERS_IN_PART)
    bounds = [first + (last - first) * n // most for n in range(1, most)]
    lower = [None, *bounds]
    upper = [*bounds, None]
    return [
        " and ".join(
            [f"number >= {low}"] * (low is not None) + [f"number < {high}"] * (high is not None)
        )
        or "true"
        for low, high in zip(lower, upper, strict=True)
    ]


def _text_at(path: str) -> str:
    """SQL for the text at a dotted path of the document."""
    quoted: list[str] = []
    for part in path.split("."):
        name, bracket, index = part.partition("[")
        quoted.append(f'."{name}"{bracket}{index}')
    return f"json_extract_string(document, {literal('$' + ''.join(quoted))})"
