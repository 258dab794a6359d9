"""Export files as document batches: any encoding, quoted line breaks, gz, rows that do not fit."""

import codecs
import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
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
from ingestion.sql import literal

BLOCK_BYTES = 32 << 20  # a row must fit into a block
MAX_HEADER = 1 << 20
_BOMS = {  # the longer ones first: UTF-32 begins as UTF-16 does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# what exports are written in, for a hint; a guess among all codecs is rarely right
_USUAL_ENCODINGS = [
    "cp1252",
    "cp1250",
    "cp1251",
    "koi8_r",
    "shift_jis",
    "gb18030",
    "big5",
    "euc_kr",
]
_CANNOT_READ = (OSError, EOFError, zlib.error)  # the last two: a cut or damaged gz


@dataclass(frozen=True)
class _CsvHeader:
    names: list[str]
    delimiter: str
    lines: int  # of the file, up to the end of the header
    has_rows: bool


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_header(path: Path, spec: FileMapping) -> list[str] | None:
    """Column names of a file; None where it is empty; for NDJSON those of its first record."""
    kind = spec.file_format(path.name)
    if kind == "parquet":
        try:
            return list(_schema_names(pyarrow.parquet.read_schema(path)))
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{path.name}: not a Parquet file ({error})") from None
    if kind == "csv":
        header = _csv_header(path, spec)
        return header.names if header else None
    first = _first_line(path, spec)
    if first is None:
        return None
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return []
    return list(_flat_names(record)) if isinstance(record, dict) else []


def check_header(path: Path, spec: FileMapping, used: list[str]) -> list[str] | None:
    """The header of a file; refuses one that lacks a column the mapping uses.

    Raises:
        SourceError: naming the file, the column and the nearest name the file has.
    """
    header = read_header(path, spec)
    if not header:  # empty file, or NDJSON whose first line is broken: its rows will tell
        return header
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
    return header


def read_documents(
    path: Path, spec: FileMapping, *, extracted_at: datetime, origin: str | None = None
) -> Iterator[pa.Table]:
    """A file's records as document batches, in the file's order.

    A row that cannot be shaped becomes a document too, with `_problem` set; those of a CSV file
    come last. `origin` is the file's name where it is not given.
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
            origin=origin or path.name,
        )


Parts = tuple[Any, Any, Any, Any, Any]  # documents, keys, cursors, rows, problems


def _csv_batches(path: Path, spec: FileMapping) -> Iterator[Parts]:
    header = _csv_header(path, spec)
    if header is None or not header.has_rows:
        return
    width = len(header.names)
    bad_numbers: list[int] = []
    bad_rows: list[tuple[str, int]] = []

    def keep_bad_row(row: pyarrow.csv.InvalidRow) -> str:
        bad_numbers.append((row.number or 0) - header.lines)
        bad_rows.append((row.text, row.actual_columns))
        return "skip"

    connection = _json_connection()
    good = 0
    last_value: str = ""
    columns = [f"c{i}" for i in range(width)]  # the file's own names may be no names in SQL
    with _open_bytes(path) as raw:
        handle = _Tail(raw)
        try:
            reader = pyarrow.csv.open_csv(
                handle,
                read_options=pyarrow.csv.ReadOptions(
                    block_size=BLOCK_BYTES,
                    column_names=columns,
                    skip_rows=header.lines,
                    encoding=_encoding(path, spec),
                    use_threads=False,
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=header.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=keep_bad_row,
                ),
                convert_options=_all_text(columns),
            )
            for batch in reader:
                table = pa.table(batch)
                yield _to_parts(connection, table, header.names, spec, good, bad_numbers)
                good += batch.num_rows
                if batch.num_rows:
                    last_value = batch.column(width - 1)[-1].as_py()
        except (pa.ArrowInvalid, UnicodeError, *_CANNOT_READ) as error:
            raise _unreadable(path, spec, error) from None
    if bad_numbers and bad_numbers[-1] == good + len(bad_numbers):
        cut = bad_rows[-1][0].count('"') % 2 == 1
    else:  # a value with a line break stands in quotes, so the file would end with one
        cut = "\n" in last_value and not handle.ends_with_quote
    if cut:
        raise SourceError(
            f"{path.name}: a quote opens in row {good + len(bad_numbers)} and never closes: all "
            "that follows would be one value. Is the export cut off?"
        )
    if bad_rows:
        bad = pa.table({"line": pa.array([text for text, _ in bad_rows], pa.string())})  # noqa: F841
        as_json = "select cast(to_json(line) as varchar) as d from bad"
        yield (
            connection.sql(as_json).to_arrow_table()["d"],
            None,
            None,
            pa.array(bad_numbers, pa.int64()),
            [f"row has {count} fields, the header has {width}" for _, count in bad_rows],
        )  # fmt: skip


def _parquet_batches(path: Path, spec: FileMapping) -> Iterator[Parts]:
    connection = _json_connection()
    good = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=100_000):
                table = pa.table(batch)
                names = table.column_names
                table = table.rename_columns([f"c{i}" for i in range(len(names))])
                yield _to_parts(connection, table, names, spec, good, [])
                good += table.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path.name}: not a Parquet file ({error})") from None
    except duckdb.NotImplementedException as error:
        raise SourceError(f"{path.name}: has a column of an unknown type ({error})") from None


def _ndjson_batches(path: Path, spec: FileMapping) -> Iterator[Parts]:
    connection = _json_connection()
    key = _sql_key([_json_text(c) for c in spec.key])
    cursor = _json_text(spec.cursor) if spec.cursor else "null"
    row = 0
    with _open_text(path, spec) as handle:
        while True:
            try:
                text = handle.readlines(BLOCK_BYTES)
            except (UnicodeError, *_CANNOT_READ) as error:
                raise _unreadable(path, spec, error) from None
            if not text:
                return
            numbers = np.arange(row + 1, row + 1 + len(text), dtype=np.int64)
            lines = pa.table({"row": numbers, "line": text})  # noqa: F841
            row += len(text)
            shaped = connection.sql(f"""
                with trimmed as (
                    select row, trim(line, e' \\t\\r\\n') as line from lines
                ), valid as (
                    select row, line, case  -- `and` may evaluate both sides
                        when json_valid(line) then json_type(line) = 'OBJECT' else false
                    end as is_object
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
            """).to_arrow_table()
            yield (shaped["d"], shaped["k"], shaped["c"], shaped["row"], shaped["p"])


def _to_parts(
    connection: duckdb.DuckDBPyConnection,
    batch: pa.Table,
    names: list[str],
    spec: FileMapping,
    good: int,
    bad_numbers: list[int],
) -> Parts:
    """A batch of the columns c0 to cn, called `names`, as documents; `good` rows came before it."""
    record = ", ".join(f"{literal(name)}, c{i}" for i, name in enumerate(names))
    key = _sql_key([_value_sql(c, names) for c in spec.key])
    cursor = _value_sql(spec.cursor, names) if spec.cursor else "null"
    shaped = connection.sql(
        f"select cast(json_object({record}) as varchar) as d, {key} as k,"
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


def _value_sql(name: str, names: list[str]) -> str:
    """A column as text, or a member of a nested column of a Parquet file."""
    column, *members = [name] if name in names else name.split(".")
    path = "".join(f'."{m.replace(chr(34), chr(34) * 2)}"' for m in members)
    return f"cast((c{names.index(column)}){path} as varchar)"


def _json_text(name: str | None) -> str:
    path = "".join(f'."{part}"' for part in str(name).split("."))
    return f"json_extract_string(document, {literal('$' + path)})"


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


def _schema_names(fields: Iterable[pa.Field], prefix: str = "") -> Iterator[str]:
    for field in fields:
        yield prefix + field.name
        if pa.types.is_struct(field.type):
            yield from _schema_names(field.type.fields, f"{prefix}{field.name}.")


def _all_text(names: list[str]) -> pyarrow.csv.ConvertOptions:
    return pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=False
    )


def _open_bytes(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


class _Tail(io.RawIOBase):
    """A stream that remembers whether what was read last ends with a quote."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.tail = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.tail = (self.tail + data[-64:])[-64:]
        return data

    @property
    def ends_with_quote(self) -> bool:
        return self.tail.rstrip(b"\r\n\0 ").endswith(b'"')


def _open_text(path: Path, spec: FileMapping, newline: str = "\n") -> IO[str]:
    encoding = _encoding(path, spec)
    return io.TextIOWrapper(
        _open_bytes(path),
        encoding="utf-8-sig" if encoding == "utf-8" else encoding,
        newline=newline,
    )


def _encoding(path: Path, spec: FileMapping) -> str:
    with _open_bytes(path) as handle:
        try:
            start = handle.read(4)
        except _CANNOT_READ as error:
            raise _unreadable(path, spec, error) from None
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            return encoding
    return spec.encoding or "utf-8"


def _first_line(path: Path, spec: FileMapping) -> str | None:
    """The first line that is not blank."""
    try:
        with _open_text(path, spec) as handle:
            return next((line for line in handle if line.strip()), None)
    except (UnicodeError, *_CANNOT_READ) as error:
        raise _unreadable(path, spec, error) from None


def _csv_header(path: Path, spec: FileMapping) -> _CsvHeader | None:
    """The first record that is not blank; None where there is none."""
    text, count = "", 0
    try:
        with _open_text(path, spec, newline="") as handle:
            for line in handle:
                count += 1
                text += line
                if not text.strip():
                    text = ""
                elif text.count('"') % 2 == 0 or len(text) > MAX_HEADER:
                    break
            has_rows = bool(handle.read(1))
    except (UnicodeError, *_CANNOT_READ) as error:
        raise _unreadable(path, spec, error) from None
    if not text:
        return None
    delimiter = spec.delimiter or _delimiter(text)
    try:
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise SourceError(f"{path.name}: the header cannot be read ({error})") from None
    names = [name.strip() or f"column_{i}" for i, name in enumerate(cells, 1)]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise SourceError(f"{path.name}: the header names {', '.join(repeated)} twice")
    return _CsvHeader(names, delimiter, count, has_rows)


def _delimiter(header: str) -> str:
    return max(",;\t|", key=re.sub('"[^"]*"', "", header).count)


def _unreadable(path: Path, spec: FileMapping, error: Exception) -> SourceError:
    text = str(error)
    if "UTF8" in text or "\ufffd" in text or isinstance(error, UnicodeError):
        hint = _encoding_hint(path)
        return SourceError(
            f"{path.name}: is not {spec.encoding or 'UTF-8'}{hint}. "
            "Set `encoding` of this file in the mapping."
        )
    if isinstance(error, _CANNOT_READ):
        return SourceError(f"{path.name}: cannot be read ({text})")
    return SourceError(f"{path.name}: cannot be parsed as CSV ({text}); is a quote never closed?")


def _encoding_hint(path: Path) -> str:
    from charset_normalizer import from_bytes

    with _open_bytes(path) as handle, suppress(*_CANNOT_READ):
        while block := handle.read(200_000):
            if not block.isascii():
                guess = from_bytes(block, cp_isolation=_USUAL_ENCODINGS).best()
                return f"; it looks like {guess.encoding}" if guess else ""
    return ""
