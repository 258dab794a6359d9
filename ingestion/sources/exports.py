"""Export files as a dlt source: one resource per table, new and changed files only."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.errors import SourceError
from ingestion.exports.mapping import FileMapping, LoadedMapping
from ingestion.exports.reader import check_header, content_hash, read_documents
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
            if check_header(path, spec, mapping.columns(source, table)) is None:
                notes.append(f"{path.name}: the file is empty")
        named = {_name(path, mapping.folder(source)): path for path in files}
        resources.append(_table_resource(table, spec, named, extracted_at, on_file))
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
    files = [folder / spec.path]  # its name may hold what means something in a pattern
    if not files[0].is_file():
        files = sorted(p for p in folder.glob(spec.path) if p.is_file())
    if not files and not spec.optional:
        raise SourceError(
            f"source {source!r}: no file {spec.path!r} in {folder}; "
            "put it there, or set `optional: true` for it in the mapping"
        )
    return files


def _name(path: Path, folder: Path) -> str:
    """Of a file, below the folder: a pattern may find the same name in several folders."""
    return path.relative_to(folder).as_posix()


def _table_resource(
    table: str,
    spec: FileMapping,
    files: dict[str, Path],
    extracted_at: datetime,
    on_file: Callable[[str, int], None],
) -> Any:
    def new_documents() -> Iterator[pa.Table]:
        # file name -> hash of the content that was last read under it
        known: dict[str, str] = dlt.current.resource_state().setdefault("files", {})
        digests = {name: content_hash(path) for name, path in files.items()}
        # A file of the same content that has gone since the last run was renamed to this. One that
        # is still there, or went earlier, makes this a later export of the same state.
        gone = {digest: name for name, digest in known.items() if name not in files}
        for name, digest in digests.items():
            if name not in known and digest in gone:
                known[name] = known.pop(gone.pop(digest))
        for name in [name for name in known if name not in files]:
            del known[name]
        for name, path in files.items():
            digest = digests[name]
            if known.get(name) == digest:
                continue
            rows = 0
            for batch in read_documents(path, spec, extracted_at=extracted_at, origin=name):
                rows += batch.num_rows
                yield batch
            known[name] = digest
            on_file(name, rows)

    return dlt.resource(new_documents, name=table, write_disposition="append")
