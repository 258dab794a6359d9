"""A simulated company's records straight into the lake, as its connectors would bring them.

Nothing is asked over HTTP: for measurements with a million customers.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa

from ingestion.documents import document_batch
from ingestion.errors import SettingError
from ingestion.lake import Lake
from ingestion.pipeline import LoadResult, dlt, run_into_lake
from ingestion.simulator.company import Company
from ingestion.simulator.projection import Projection
from ingestion.sources.connector import KEY_SEPARATOR, Connector, SourceObject

ROWS_AT_ONCE = 100_000


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
    resources = [
        dlt.resource(
            _batches(company, obj, vendor.PROJECTIONS[named[obj.name]]),
            name=obj.name,
            write_disposition="append",
        )
        for obj in chosen
    ]
    source = dlt.source(lambda: resources, name=vendor.VENDOR, section=vendor.VENDOR)()
    with tempfile.TemporaryDirectory() as folder:
        return run_into_lake(
            source, lake=lake, dataset=dataset, state_dir=state_dir or Path(folder)
        )


def _batches(company: Company, obj: SourceObject, projection: Projection) -> Iterator[pa.Table]:
    """Document batches in no particular order; an archived record is a tombstone."""
    key = f" || '{KEY_SEPARATOR}' || ".join(_text_at(path) for path in obj.key)
    cursor = _text_at(obj.cursor) if obj.cursor else "null::varchar"
    sql = f"""
        select document::varchar, {key}, {cursor}, archived_at is not null
        from (\n{projection.sql}\n)
    """
    rows = 0
    for batch in company.batches(sql, ROWS_AT_ONCE):
        documents, keys, cursors, deleted = batch.columns
        yield document_batch(
            documents,
            extracted_at=company.clock,
            origin=projection.name,
            keys=keys,
            cursors=cursors,
            deleted=deleted,
            rows=pa.array(np.arange(rows + 1, rows + len(batch) + 1)),
        )
        rows += len(batch)


def _text_at(path: str) -> str:
    """SQL for the text at a dotted path of the document."""
    quoted: list[str] = []
    for part in path.split("."):
        name, bracket, index = part.partition("[")
        quoted.append(f'."{name}"{bracket}{index}')
    place = "$" + "".join(quoted).replace("'", "''")
    return f"json_extract_string(document, '{place}')"
