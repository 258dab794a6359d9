"""The sources for the scheduler and for `cxm sources`; how the last attempt of each went."""

import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.markup import escape
from starlette.types import ASGIApp

from ingestion.errors import CxmError, SettingError
from ingestion.exports.mapping import LoadedMapping, SourceMapping
from ingestion.exports.reader import check_header
from ingestion.exports.records import nearest_hint
from ingestion.sources.connector import (
    Finding,
    SourceObject,
    Window,
    check_connection,
    choose_objects,
    load_connector,
)
from ingestion.sources.exports import find_files, load_exports
from ingestion.sources.registry import connector_class
from ingestion.sources.secrets import read_secrets, secret_variable
from ingestion.sources.segment_webhook import receiver
from orchestration import progress
from orchestration.settings import Settings
from orchestration.simulation import connection, prepare_company, tell_known_people

_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Attempt:
    """The last attempt to load a source. `notes` stopped nothing; `error` stopped the source."""

    source: str
    at: str
    error: str | None = None
    load_id: str | None = None
    documents: dict[str, int] = field(default_factory=dict)  # by table
    notes: list[str] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)  # by object


def load_source(
    settings: Settings,
    mapping: LoadedMapping,
    source: str,
    at: datetime,
    *,
    window: Window | None = None,
    objects: Sequence[str] | None = None,
) -> Attempt:
    """Load a source; a source that fails says so in its attempt and harms no other.

    Args:
        window, objects: of a connector, where not all that is new is to be read.
    """
    _spare_the_collector()
    try:
        prepare_company(settings, mapping)
        tell_known_people(settings, mapping)
        if mapping.sources[source].connector:
            attempt = _load_connector(settings, mapping, source, at, window, objects)
        else:
            attempt = _load_files(settings, mapping, source, at)
    except Exception as error:
        attempt = Attempt(source, at.isoformat(), _plain(error))
        progress.say(f"[red]  {source}: {escape(str(attempt.error))}[/red]")
    _remember(settings, mapping, attempt)
    return attempt


def backfill_source(
    settings: Settings,
    mapping: LoadedMapping,
    source: str,
    at: datetime,
    *,
    since: datetime,
    until: datetime,
    objects: Sequence[str] | None = None,
) -> Attempt:
    """Read a span of a source once more; its state stays where it is.

    Raises:
        SettingError: there is no such source or object, or it has no connector.
    """
    spec = _api_source(mapping, source)
    if objects:
        choose_objects(connector_class(str(spec.connector)), objects, source)
    return load_source(
        settings, mapping, source, at, window=Window(since, until), objects=objects or None
    )


def reconcile_source(
    settings: Settings, mapping: LoadedMapping, source: str, at: datetime
) -> Attempt:
    """Load a source and find what has gone without a word.

    Raises:
        SettingError: there is no such source, or it has no connector.
    """
    _api_source(mapping, source)
    return load_source(settings, mapping, source, at, window=Window(reconcile=True))


def webhook_receiver(mapping: LoadedMapping, source: str) -> ASGIApp:
    """The application that takes in a Segment source's messages, into the folder it reads.

    Raises:
        SettingError: it is no such source, its folder is not on this machine, or its secret is
            not set.
    """
    spec = _api_source(mapping, source)
    folder = str(spec.settings.get("folder", ""))
    if spec.connector != "segment" or not folder or "://" in folder:
        raise SettingError(
            f"source {source!r} takes in no messages: that is for a source with `connector: "
            "segment` whose `folder` is on this machine"
        )
    found = read_secrets(source, ("webhook_secret",))
    if not found:
        raise SettingError(
            f"source {source!r}: the secret shared with Segment's webhook is not set: set "
            f"{secret_variable(source, 'webhook_secret')}"
        )
    return receiver(Path(folder), found["webhook_secret"])


def check_source(settings: Settings, mapping: LoadedMapping, source: str) -> list[Finding]:
    """Whether a source can be read; nothing is loaded.

    Raises:
        SettingError: there is no such source.
    """
    spec = _source(mapping, source)
    if spec.connector:
        with connection(settings, mapping, source) as (given, clock):
            return check_connection(
                connector_class(spec.connector),
                given,
                source=source,
                state_dir=_state_dir(settings),
                clock=clock,
            )
    findings = []
    for owner, table, file in mapping.files():
        if owner != source:
            continue
        try:
            files = find_files(mapping, source, table)
            for path in files:
                check_header(path, file, mapping.columns(source, table))
            findings.append(Finding(True, f"{table}: {len(files)} files can be read"))
        except CxmError as error:
            findings.append(Finding(False, str(error)))
    return findings


def lake_tables(mapping: LoadedMapping, source: str) -> dict[str, str]:
    """The tables of the lake that a source fills, and what of it fills them."""
    spec = mapping.sources[source]
    if not spec.connector:
        return {table: file.path for table, file in spec.files.items()}
    chosen = choose_objects(connector_class(spec.connector), spec.objects, source)
    return {obj.name: f"{spec.connector}'s {obj.name}" for obj in chosen}


def list_sources(settings: Settings) -> list[dict[str, Any]]:
    """Every source of the mapping: the last attempt, the last load, its documents in the lake."""
    mapping, lake = settings.mapping(), settings.lake
    rows = []
    for source, spec in mapping.spec.sources.items():
        attempt = last_attempt(settings, mapping, source)
        loads = lake.complete_loads(mapping.spec.dataset(source))
        files = [path for load in loads for paths in load.files.values() for path in paths]
        documents = 0
        if files:
            with lake.connect() as connection:
                found = connection.execute(
                    "select sum(num_rows)::bigint from parquet_file_metadata(?)", [files]
                ).fetchone()
                documents = int(found[0]) if found else 0
        rows.append(
            {
                "source": source,
                "connector": spec.connector,
                "enabled": source in mapping.sources,
                "last_attempt": attempt.at if attempt else None,
                "error": attempt.error if attempt else None,
                "last_load": loads[-1].inserted_at if loads else None,
                "documents": documents,
                "requests": sum(attempt.requests.values()) if attempt else 0,
            }
        )
    return rows


def _load_files(settings: Settings, mapping: LoadedMapping, source: str, at: datetime) -> Attempt:
    load = load_exports(
        mapping,
        source,
        lake=settings.lake,
        state_dir=_state_dir(settings),
        now=at,
        on_file=lambda name, rows: progress.say(f"  {source}: {escape(name)}, {rows:,} records"),
    )
    return Attempt(
        source, at.isoformat(), None, load.result.load_id, load.result.documents, load.notes
    )


def _load_connector(
    settings: Settings,
    mapping: LoadedMapping,
    source: str,
    at: datetime,
    window: Window | None,
    objects: Sequence[str] | None,
) -> Attempt:
    spec = mapping.sources[source]
    with connection(settings, mapping, source) as (given, clock):
        load = load_connector(
            connector_class(str(spec.connector)),
            given,
            source=source,
            company=mapping.spec.company,
            lake=settings.lake,
            state_dir=_state_dir(settings),
            now=at,
            objects=objects or spec.objects,
            window=window,
            on_progress=_tell_progress(source),
            clock=clock,
        )
    requests = {name: int(counts["requests"]) for name, counts in load.by_object.items()}
    return Attempt(
        source, at.isoformat(), None, load.result.load_id, load.result.documents, load.notes,
        requests,
    )  # fmt: skip


def _spare_the_collector() -> None:
    """Look for garbage rarely: pages are trees of small objects that end with their last use."""
    if not gc.get_freeze_count():
        gc.freeze()  # and never again among all that was imported
        gc.set_threshold(50_000, 20, 20)


def _tell_progress(source: str) -> Callable[[SourceObject, int, int], None]:
    """Says at which object a source is: when it comes to one, and now and then while it is there.

    A page is no event worth a line: an object may have ten thousand.
    """
    said: dict[str, float] = {}

    def tell(obj: SourceObject, rows: int, requests: int) -> None:
        if time.monotonic() - said.get(obj.name, -_SECONDS_BETWEEN_LINES) < _SECONDS_BETWEEN_LINES:
            return
        said[obj.name] = time.monotonic()
        progress.say(f"  {source}: {obj.name}, {rows:,} records so far, {requests:,} requests")

    return tell


def _source(mapping: LoadedMapping, source: str) -> SourceMapping:
    if source not in mapping.spec.sources:
        raise SettingError(f"no source {source!r}{nearest_hint(source, mapping.spec.sources)}")
    if source not in mapping.sources:
        raise SettingError(
            f"source {source!r} is switched off: by `enabled` in {mapping.path.name}, or because "
            "CXM_SOURCES does not name it"
        )
    return mapping.sources[source]


def _api_source(mapping: LoadedMapping, source: str) -> SourceMapping:
    spec = _source(mapping, source)
    if not spec.connector:
        raise SettingError(f"source {source!r} is read from files; `cxm run` reads what is new")
    return spec


def _state_dir(settings: Settings) -> Path:
    return settings.state / "loads"


def last_attempt(settings: Settings, mapping: LoadedMapping, source: str) -> Attempt | None:
    path = _attempt_path(settings, mapping, source)
    return Attempt(**json.loads(path.read_text())) if path.exists() else None


def _plain(error: BaseException) -> str:
    """The message of our own error, even where dlt has wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CxmError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {error}"


def _remember(settings: Settings, mapping: LoadedMapping, attempt: Attempt) -> None:
    path = _attempt_path(settings, mapping, attempt.source)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(attempt), indent=1))
    draft.replace(path)


def _attempt_path(settings: Settings, mapping: LoadedMapping, source: str) -> Path:
    return settings.state / "attempts" / f"{mapping.spec.dataset(source)}.json"
