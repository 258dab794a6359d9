"""Export files as document batches: any encoding, quoted line breaks, gz, rows that do not fit."""

import codecs
import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ingestion.documents import document_batch
from ingestion.errors import SourceError
from ingestion.exports.mapping import FileMapping, nearest

BLOCK_BYTES = 32 << 20  # a row must fit into a block
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_header(path: Path, spec: FileMapping) -> list[str] | None:
    """Column names of a file; None where it is empty; for NDJSON those of its first record."""
    kind = spec.file_format(path.name)
    if kind == "parquet":
        try:
            return list(pyarrow.parquet.read_schema(path).names)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{path.name}: not a Parquet file ({error})") from None
    first = _first_line(path, spec)
    if not first.strip():
        return None
    if kind == "ndjson":
        try:
            record = json.loads(first)
        except ValueError:
            return []
        return list(_flat_names(record)) if isinstance(record, dict) else []
    names = [n.strip() for n in next(csv.reader([first], delimiter=_delimiter(first, spec)))]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise SourceError(f"{path.name}: the header names {', '.join(repeated)} twice")
    return names


def check_header(path: Path, spec: FileMapping, used: list[str]) -> None:
    """Refuse a file that lacks a column the mapping uses.

    Raises:
        SourceError: naming the file, the column and the nearest name the file has.
    """
    header = read_header(path, spec)
    if not header:  # empty file, or NDJSON whose first line is broken: its rows will tell
        return
    optional_names = spec.file_format(path.name) == "ndjson"  # a record may leave fields out
    missing = [c for c in used if c not in header]
    if optional_names:
        missing = [c for c in missing if c in spec.key]
    if missing:
        hints = [
            f"{column!r} (the file has {close!r})" if close else f"{column!r}"
            for column in missing
            if (close := nearest(column, header)) or True
        ]
        raise SourceError(
            f"{path.name}: no column {', '.join(hints)}; its columns are "
            f"{', '.join(header[:30])}. Mend the mapping or the export."
        )


def read_documents(
    path: Path, spec: FileMapping, *, extracted_at: datetime
) -> Iterator[pa.Table]:
    """A file's records as document batches, in the file's order.

    A row that cannot be shaped becomes a document too, with `_problem` set.
    """
    kind = spec.file_format(path.name)
    if kind == "ndjson":
        batches = _ndjson_batches(path, spec)
    elif kind == "parquet":
        batches = _parquet_batches(path, spec)
    else:
        batches = _csv_batches(path, spec)
    for documents, keys, cursors, rows, problems in batches:
        yield document_batch(
            documents,
            keys=keys,
            cursors=cursors,
            rows=rows,
            problems=problems,
            extracted_at=extracted_at,
            origin=path.name,
        )


Parts = tuple[Any, Any, Any, Any, Any]  # documents, keys, cursors, rows, problems


def _csv_batches(path: Path, spec: FileMapping) -> Iterator[Parts]:
    header = read_header(path, spec)
    if header is None:
        return
    bad_numbers: list[int] = []
    bad_rows: list[tuple[int, str, int]] = []

    def keep_bad_row(row: pyarrow.csv.InvalidRow) -> str:
        number = (row.number or 0) - 1  # the header is row 1
        bad_numbers.append(number)
        bad_rows.append((number, row.text, row.actual_columns))
        return "skip"

    connection = _json_connection()
    good = 0
    with _open_bytes(path) as handle:
        try:
            reader = pyarrow.csv.open_csv(
                handle,
                read_options=pyarrow.csv.ReadOptions(
                    block_size=BLOCK_BYTES,
                    column_names=header,
                    skip_rows=1,
                    encoding=_encoding(path, spec),
                    use_threads=False,
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=_delimiter(_first_line(path, spec), spec),
                    newlines_in_values=True,
                    invalid_row_handler=keep_bad_row,
                ),
                convert_options=_all_text(header),
            )
            for batch in reader:
                yield _to_parts(connection, pa.table(batch), spec, good, bad_numbers)
                good += batch.num_rows
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise _unreadable(path, spec, error) from None
    if bad_rows:
        width = len(header)
        texts = pa.array([text for _, text, _ in bad_rows], pa.string())
        yield (
            connection.sql("select to_json(texts) as d from (select unnest($t) as texts)",
                           params={"t": texts.to_pylist()}).to_arrow_table()["d"].cast(pa.string()),
            None,
            None,
            pa.array(bad_numbers, pa.int64()),
            [f"row has {count} fields, the header has {width}" for _, _, count in bad_rows],
        )  # fmt: skip


def _parquet_batches(path: Path, spec: FileMapping) -> Iterator[Parts]:
    connection = _json_connection()
    good = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=100_000):
                table = pa.table(batch)
                yield _to_parts(connection, table, spec, good, [])
                good += table.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path.name}: not a Parquet file ({error})") from None


def _ndjson_batches(path: Path, spec: FileMapping) -> Iterator[Parts]:
    connection = _json_connection()
    key = _sql_key([_json_text(c) for c in spec.key])
    cursor = _json_text(spec.cursor) if spec.cursor else "null"
    row = 0
    with _open_text(path, spec) as handle:
        while True:
            try:
                text = handle.readlines(BLOCK_BYTES)
            except UnicodeDecodeError as error:
                raise _unreadable(path, spec, error) from None
            if not text:
                return
            lines = pa.table({"row": pa.array(range(row + 1, row + 1 + len(text))), "line": text})
            row += len(text)
            shaped = connection.sql(f"""
                with trimmed as (
                    select row, trim(line, e' \\t\\r\\n') as line from lines
                ), valid as (
                    select row, line, json_valid(line) and json_type(line) = 'OBJECT' as is_object
                    from trimmed where line <> ''
                ), records as (
                    select row, is_object, line,
                        case when is_object then line else '{{}}' end as document from valid
                )
                select
                    case when is_object then document else cast(to_json(line) as varchar) end as d,
                    {key} as k, {cursor} as c, row,
                    case when not is_object then 'not a JSON object' end as p
                from records order by row
            """).to_arrow_table()  # noqa: S608
            yield (shaped["d"], shaped["k"], shaped["c"], shaped["row"], shaped["p"])


def _to_parts(
    connection: duckdb.DuckDBPyConnection,
    batch: pa.Table,
    spec: FileMapping,
    good: int,
    bad_numbers: list[int],
) -> Parts:
    """A batch of columns as documents; `good` rows came before it."""
    names = [_quoted(name) for name in batch.column_names]
    record = ", ".join(f"{name} := {name}" for name in names)
    key = _sql_key([f"cast({_quoted(c)} as varchar)" for c in spec.key])
    cursor = f"cast({_quoted(spec.cursor)} as varchar)" if spec.cursor else "null"
    shaped = connection.sql(
        f"select cast(to_json(struct_pack({record})) as varchar) as d, {key} as k,"
        f" cast({cursor} as varchar) as c from batch"
    ).to_arrow_table()
    rows = np.arange(good + 1, good + 1 + batch.num_rows, dtype=np.int64)
    if bad_numbers:  # the n-th good row stands behind all bad rows above it
        skipped = np.sort(np.array(bad_numbers, dtype=np.int64))
        rows += np.searchsorted(skipped - np.arange(len(skipped)), rows, side="right")
    return (shaped["d"], shaped["k"], shaped["c"], pa.array(rows), None)


def _json_connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _json_text(name: str | None) -> str:
    path = "".join(f'."{part}"' for part in str(name).split("."))
    return "json_extract_string(document, '$" + path.replace("'", "''") + "')"


def _sql_key(columns: list[str]) -> str:
    """Null where every part is blank, so that staging can say so."""
    parts = ", ".join(f"coalesce({c}, '')" for c in columns)
    blank = " and ".join(f"coalesce({c}, '') = ''" for c in columns)
    return f"case when {blank} then null else concat_ws('|', {parts}) end"


def _flat_names(record: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in record.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _flat_names(value, f"{prefix}{name}.")


def _all_text(names: list[str]) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=False
    )


def _open_bytes(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _open_text(path: Path, spec: FileMapping) -> IO[str]:
    encoding = _encoding(path, spec)
    return io.TextIOWrapper(
        _open_bytes(path), encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="\n"
    )


def _encoding(path: Path, spec: FileMapping) -> str:
    with _open_bytes(path) as handle:
        try:
            start = handle.read(4)
        except OSError as error:
            raise SourceError(f"{path.name}: cannot be read ({error})") from None
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            return encoding
    return spec.encoding or "utf-8"


def _first_line(path: Path, spec: FileMapping) -> str:
    try:
        with _open_text(path, spec) as handle:
            return handle.readline(1 << 20)
    except UnicodeDecodeError as error:
        raise _unreadable(path, spec, error) from None
    except OSError as error:
        raise SourceError(f"{path.name}: cannot be read ({error})") from None


def _delimiter(header: str, spec: FileMapping) -> str:
    return spec.delimiter or max(",;\t|", key=header.count)


def _unreadable(path: Path, spec: FileMapping, error: Exception) -> SourceError:
    text = str(error)
    if "UTF8" in text or isinstance(error, UnicodeDecodeError):
        from charset_normalizer import from_bytes

        with _open_bytes(path) as handle:
            guess = from_bytes(handle.read(200_000)).best()
        hint = f"; it looks like {guess.encoding}" if guess else ""
        return SourceError(
            f"{path.name}: is not {spec.encoding or 'UTF-8'}{hint}. "
            "Set `encoding` of this file in the mapping."
        )
    return SourceError(f"{path.name}: cannot be parsed as CSV ({text})")
