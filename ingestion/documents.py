"""The document batch: the one shape in which every record of every source reaches the lake."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("_key", pa.string()),  # identifies the record in its table; null where it has none
        pa.field("_cursor", pa.string()),  # orders the versions of one key
        pa.field("_deleted", pa.bool_()),  # the source says that the record is gone
        pa.field("_extracted_at", pa.timestamp("us", tz="UTC")),
        pa.field("_origin", pa.string()),  # file, or endpoint, it was read from
        pa.field("_row", pa.int64()),  # position there, from 1
        pa.field("_problem", pa.string()),  # why the reader could not shape it, else null
        pa.field("document", pa.string()),  # the record as JSON text, as received
    ]
)


def document_batch(
    documents: Sequence[str | None] | pa.Array | pa.ChunkedArray,
    *,
    extracted_at: datetime,
    origin: str | pa.Array | pa.ChunkedArray,
    keys: Sequence[str | None] | pa.Array | None = None,
    cursors: Sequence[str | None] | pa.Array | None = None,
    deleted: Sequence[bool] | pa.Array | None = None,
    rows: Sequence[int] | np.ndarray | pa.Array | None = None,
    problems: Sequence[str | None] | pa.Array | None = None,
) -> pa.Table:
    """One page of records as a table with `DOCUMENT_SCHEMA`.

    Args:
        documents: n JSON texts.
        extracted_at: aware time at which the page was taken from its system.
        origin: file or endpoint, without secrets; one for all, or n of them.
        keys, cursors, deleted, rows, problems: n values each, or None for null
            (`deleted`: False; `rows`: 1 to n).
    """
    n = len(documents)
    columns = {
        "_key": keys if keys is not None else pa.nulls(n, pa.string()),
        "_cursor": cursors if cursors is not None else pa.nulls(n, pa.string()),
        "_deleted": deleted if deleted is not None else pa.repeat(pa.scalar(False), n),
        "_extracted_at": pa.repeat(pa.scalar(extracted_at, pa.timestamp("us", tz="UTC")), n),
        "_origin": pa.repeat(pa.scalar(origin), n) if isinstance(origin, str) else origin,
        "_row": rows if rows is not None else np.arange(1, n + 1),
        "_problem": problems if problems is not None else pa.nulls(n, pa.string()),
        "document": documents,
    }
    return pa.table(columns, schema=DOCUMENT_SCHEMA)
