"""Segment: messages of websites, apps and servers, out of the files that it pushes.

Segment has no API to ask: its "AWS S3" destination (or our own webhook receiver) writes gzip files
of one message a line below a folder or bucket. A file never changes once it is written.

    <folder>/**/*.gz -> one pass over the new files -> pages, screens, tracks, identifies, ...
"""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ingestion.errors import SourceError
from ingestion.sources.connector import (
    Connector,
    ConnectorSettings,
    Finding,
    Page,
    SourceObject,
    Window,
)

# lake table -> the kind of call
TYPES = {
    "pages": "page",
    "screens": "screen",
    "tracks": "track",
    "identifies": "identify",
    "groups": "group",
    "aliases": "alias",
    "deletes": "delete",
}
_BATCH = 50_000  # messages in memory


class SegmentSettings(ConnectorSettings):
    """Where the files are. Keys of a bucket come from the environment, as for the lake."""

    folder: str = Field(description="Folder or URL (s3://bucket/prefix) of the files.")
    late_days: float = Field(
        default=3, gt=0, description="How much later than a newer one a file may appear."
    )


class Segment(Connector):
    """The files of one workspace."""

    vendor = "segment"
    Settings = SegmentSettings
    objects = tuple(
        SourceObject(
            name,
            ("messageId",),
            cursor="receivedAt",
            lookback=timedelta(days=3),
            deletes="messages of type delete: this person's messages are to be forgotten",
            merges="alias calls",
        )
        for name in TYPES
    )

    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        new = self._new_files(state, window)
        if not new:
            return
        path = self._messages(tuple(new))[obj.name]
        if path.exists():
            with pa.OSFile(str(path)) as file:
                for batch in pa.ipc.open_stream(file):
                    yield Page(
                        deleted=obj.name == "deletes",
                        documents=batch["document"],
                        keys=batch["key"],
                        cursors=batch["cursor"],
                        problems=batch["problem"],
                        origins=batch["origin"],
                        rows=batch["number"],
                    )
        if not window.is_backfill:
            self._remember(state, new)

    def check(self) -> list[Finding]:
        files = self._files()
        if not files:
            return [
                Finding(
                    False,
                    f"no .gz file below {self.settings.folder}",
                    "check `folder` and what Segment's destination writes",
                )
            ]
        newest = max(files.values())
        return [Finding(True, f"{len(files):,} files, the newest of {newest:%Y-%m-%d %H:%M} UTC")]

    def _files(self) -> dict[str, datetime]:
        """Every file below the folder and when it was written."""
        try:
            system, root = fsspec.core.url_to_fs(self.settings.folder)
            found = system.find(root, detail=True)
        except (OSError, ValueError, ImportError) as error:
            raise SourceError(
                f"source {self.source!r}: {self.settings.folder} cannot be listed: {error}"
            ) from None
        return {
            name: _written(entry) for name, entry in found.items() if name.lower().endswith(".gz")
        }

    @cached_property
    def _listing(self) -> dict[str, datetime]:
        return self._files()  # once a run: all objects see the same files

    def _new_files(self, state: dict[str, Any], window: Window) -> dict[str, datetime]:
        files = self._listing
        if window.is_backfill:
            since = window.since or datetime.min.replace(tzinfo=UTC)
            until = window.until or datetime.max.replace(tzinfo=UTC)
            return {name: at for name, at in files.items() if since <= at < until}
        if not state.get("read_until"):
            return dict(files)
        since = datetime.fromisoformat(state["read_until"]) - timedelta(
            days=self.settings.late_days
        )
        known = set(state["recent"])
        return {name: at for name, at in files.items() if at >= since and name not in known}

    def _remember(self, state: dict[str, Any], new: dict[str, datetime]) -> None:
        """The newest time of writing, and the names of files that lie shortly before it."""
        until = max(self._listing.values())
        since = until - timedelta(days=self.settings.late_days)
        state["read_until"] = until.isoformat()
        state["recent"] = sorted(name for name, at in self._listing.items() if at >= since)

    def _messages(self, files: tuple[str, ...]) -> dict[str, Path]:
        """One pass over the files: a file of messages for each table."""
        cached = self.__dict__.setdefault("_read", {})
        if files in cached:
            return cached[files]
        folder = Path(self._scratch.name) / str(len(cached))
        folder.mkdir()
        paths = {name: folder / f"{name}.arrows" for name in TYPES}
        writers: dict[str, pa.RecordBatchStreamWriter] = {}
        try:
            for messages in self._documents(files):
                _split(messages, paths, writers)
        finally:
            for writer in writers.values():
                writer.close()
        cached[files] = paths
        return paths

    def _documents(self, files: tuple[str, ...]) -> Iterator[pa.Table]:
        """Batches of lines with what `_SHAPE` reads off them, many files a batch."""
        system, root = fsspec.core.url_to_fs(self.settings.folder)
        waiting: list[pa.Table] = []
        for name in sorted(files):
            try:
                with system.open(name, "rb") as handle:
                    content = pa.array([gzip.decompress(handle.read())], pa.large_binary())
                content = content.cast(pa.large_string())
            except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
                raise SourceError(f"{name}: cannot be read ({error}); is it cut off?") from None
            self.meter.requests += 1
            # not splitlines: a text within a message may hold what Unicode takes for an end of line
            lines = pc.split_pattern(content, "\n").flatten()
            origin = pa.scalar(name.removeprefix(root).lstrip("/"))
            waiting.append(
                pa.table({
                    "origin": pa.repeat(origin, len(lines)),
                    "number": np.arange(1, len(lines) + 1),
                    "line": lines,
                })
            )  # fmt: skip
            if sum(map(len, waiting)) >= _BATCH:
                yield _shaped(pa.concat_tables(waiting))
                waiting.clear()
        if waiting:
            yield _shaped(pa.concat_tables(waiting))

    @cached_property
    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="segment-")


_SHAPE = """
    with records as (
        select
            origin, number, line,
            -- null where the line is no JSON
            try(json_extract_string(line, ['$.type', '$.messageId', '$.receivedAt'])) as found,
            found is not null and starts_with(line, '{') as is_object
        from (select * replace (trim(line, ' \t\r') as line) from given)
        where line <> ''
    )
    select
        origin, number,
        case when is_object then line else cast(to_json(line) as varchar) end as document,
        case when is_object then coalesce(found[1], '') else '' end as type,
        case when is_object then found[2] end as key,
        case when is_object then found[3] end as cursor,
        case when not is_object then 'not a JSON object' end as problem
    from records
"""


def _shaped(given: pa.Table) -> pa.Table:
    return duckdb.sql(_SHAPE).to_arrow_table()


def _split(
    messages: pa.Table, paths: dict[str, Path], writers: dict[str, pa.RecordBatchStreamWriter]
) -> None:
    """Each message to the table of its type; one of no known type is a track that fits nowhere."""
    unknown = pc.invert(pc.is_in(messages["type"], pa.array(list(TYPES.values()))))
    problem = pc.if_else(
        pc.and_(unknown, pc.is_null(messages["problem"])),
        "is no call that Segment knows",
        messages["problem"],
    )
    place = messages.schema.get_field_index("problem")
    messages = messages.set_column(place, "problem", problem.cast(pa.string()))
    for name, kind in TYPES.items():
        chosen = pc.equal(messages["type"], kind)
        rows = messages.filter(pc.or_(chosen, unknown) if name == "tracks" else chosen)
        if rows.num_rows:
            if name not in writers:
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                writers[name] = pa.ipc.new_stream(paths[name], rows.schema, options=options)
            writers[name].write_table(rows)


def _written(entry: dict[str, Any]) -> datetime:
    at = entry.get("mtime") or entry.get("LastModified") or entry.get("last_modified")
    if isinstance(at, datetime):
        return at.astimezone(UTC)
    return datetime.fromtimestamp(float(at or 0), UTC)
