"""Export files as a dlt source: one resource per table, new and changed files only."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.errors import SourceError
from ingestion.exports.mapping import FileMapping, LoadedMapping
from ingestion.exports.reader import check_header, content_hash, read_documents, read_header
from ingestion.lake import Lake
from ingestion.pipeline import LoadResult, dlt, run_into_lake


@dataclass
class ExportLoad:
    """What a run of one export source did; `notes` are findings that stopped nothing."""

    result: LoadResult
    notes: list[str] = field(default_factory=list)


def load_exports(
    mapping: LoadedMapping,
    source: str,
    *,
    lake: Lake,
    state_dir: Path,
    now: datetime,
    on_file: Callable[[str, int], None] = lambda name, rows: None,
) -> ExportLoad:
    """Bring the new and changed files of one source into the lake.

    Raises:
        SourceError: a file is missing, lacks a mapped column or cannot be read. Nothing of this
            source is loaded then, and its state stays where it was.
    """
    notes: list[str] = []
    extracted_at = mapping.spec.exported_at_utc or now.astimezone(UTC)
    resources = []
    for table, spec in mapping.spec.sources[source].files.items():
        files = find_files(mapping, source, table)
        for path in files:
            check_header(path, spec, mapping.columns(source, table))
            if read_header(path, spec) is None:
                notes.append(f"{path.name}: the file is empty")
        resources.append(_table_resource(table, spec, files, extracted_at, on_file))
    result = run_into_lake(
        dlt.source(lambda: resources, name=source, section=source)(),
        lake=lake,
        dataset=mapping.spec.dataset(source),
        state_dir=state_dir,
    )
    return ExportLoad(result, notes)


def find_files(mapping: LoadedMapping, source: str, table: str) -> list[Path]:
    """The files of a table, by name.

    Raises:
        SourceError: there is none, and the mapping does not call it optional.
    """
    spec = mapping.spec.sources[source].files[table]
    folder = mapping.folder(source)
    files = sorted(p for p in folder.glob(spec.path) if p.is_file())
    if not files and not spec.optional:
        raise SourceError(
            f"source {source!r}: no file {spec.path!r} in {folder}; "
            "put it there, or set `optional: true` for it in the mapping"
        )
    return files


def _table_resource(
    table: str,
    spec: FileMapping,
    files: list[Path],
    extracted_at: datetime,
    on_file: Callable[[str, int], None],
) -> Any:
    def new_documents() -> Iterator[pa.Table]:
        # file name -> hash of the content that was last read under it
        known: dict[str, str] = dlt.current.resource_state().setdefault("files", {})
        for path in files:
            digest = content_hash(path)
            if path.name not in known and digest in known.values():
                known[path.name] = digest  # renamed or copied
            if known.get(path.name) == digest:
                continue
            rows = 0
            for batch in read_documents(path, spec, extracted_at=extracted_at):
                rows += batch.num_rows
                yield batch
            known[path.name] = digest
            on_file(path.name, rows)

    return dlt.resource(new_documents, name=table, write_disposition="append")
