"""Vendors' APIs as dlt sources. A connector says how to read; this module does all the rest.

A vendor's module holds one subclass of `Connector`: what objects there are, how each is read page
by page. From its pages come lake tables of documents, one a vendor object.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import numpy as np
import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingestion.documents import document_batch
from ingestion.errors import CxmError, SettingError, SourceError
from ingestion.lake import Lake
from ingestion.pipeline import LoadResult, dlt, run_into_lake
from ingestion.sources.api import ApiError, ApiSession, Clock, Meter, SystemClock
from ingestion.sources.secrets import TokenStore, read_secrets, redact, secret_variable

KEY_SEPARATOR = "|"


# --- what a connector declares and yields -----------------------------------------------------


@dataclass(frozen=True)
class SourceObject:
    """One kind of record of a vendor, and how its changes can be followed."""

    name: str  # of the lake table
    key: tuple[str, ...]  # dotted paths in the document
    cursor: str | None = None  # dotted path of what orders the versions of a record
    lookback: timedelta = timedelta(0)  # for records that show later than they are stamped
    deletes: str = ""  # how they reach us, in a line; likewise:
    merges: str = ""
    reconcile: bool = False  # no tombstones: the live ids are compared from time to time
    snapshot: bool = False  # read whole each time; only what differs from the lake lands
    scope: str = ""  # permission that reading needs


@dataclass(frozen=True)
class Window:
    """What to read. With `since` or `until` it is a back-fill, which moves no state."""

    since: datetime | None = None
    until: datetime | None = None
    reconcile: bool = False  # also find what has gone without a tombstone

    @property
    def is_backfill(self) -> bool:
        return self.since is not None or self.until is not None


@dataclass(frozen=True)
class Page:
    """Records as a vendor gave them: parsed, or (big files) as JSON texts with keys at hand.

    Attributes:
        origin: method and path, or file; no secrets, no page numbers: of two versions of a record
            with one cursor, the later read wins only within one origin.
        deleted: the records are gone; they hold at least the key fields.
        cursor: instead of the records' own. Tombstones without any get the time of the run.
        documents: n JSON texts instead of records; then `keys`, and `cursors` if there are any.
        origins, rows: of every document, where a page is made of several files.
    """

    records: Sequence[Mapping[str, Any]] = ()
    origin: str = ""
    deleted: bool = False
    cursor: str | None = None
    documents: Sequence[bytes | str] | pa.Array | None = None
    keys: Sequence[str | None] | pa.Array | None = None
    cursors: Sequence[str | None] | pa.Array | None = None
    problems: Sequence[str | None] | pa.Array | None = None
    origins: pa.Array | None = None
    rows: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.records if self.documents is None else self.documents)


@dataclass(frozen=True)
class Finding:
    """One result of checking a connection; `fix` says what to do where it is not ok."""

    ok: bool
    what: str
    fix: str = ""


class ConnectorSettings(BaseModel):
    """Settings that all connectors know; a vendor adds its own. Never secrets."""

    model_config = ConfigDict(extra="forbid")

    base_url: str | None = Field(default=None, description="Address of the account's API.")
    ca_bundle: str | None = Field(
        default=None, description="File with the certificates of one's own authority."
    )
    reconcile_every_days: float = Field(
        default=7, ge=0, description="How often ids are compared where deletes leave no trace."
    )


class Connector(ABC):
    """Reads one account of a vendor.

    `secrets` are all needed; of `secret_choices`, each a way to authenticate, one whole group.
    Subclasses override `connect`, `read` and `check` (and `Settings`), not the constructor.
    """

    vendor: ClassVar[str]
    objects: ClassVar[tuple[SourceObject, ...]]
    Settings: ClassVar[type[ConnectorSettings]] = ConnectorSettings
    secrets: ClassVar[tuple[str, ...]] = ()
    secret_choices: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __init__(
        self,
        settings: Any,
        secrets: Mapping[str, str],
        *,
        clock: Clock,
        known_keys: Callable[[str], pa.Array],
        source: str = "",
        token_store: TokenStore | None = None,
    ) -> None:
        self.settings = settings  # an instance of Settings
        self.secret = secrets  # those that are set
        self.clock = clock
        self.known_keys = known_keys
        self.source = source or self.vendor
        self._token_store = token_store
        self._sessions: list[ApiSession] = []
        self.meter = Meter()
        self.notes: list[str] = []  # findings that stopped nothing; shown with the load

    @cached_property
    def api(self) -> ApiSession:
        """The session that `connect` makes, made on first use."""
        return self.connect()

    def connect(self) -> ApiSession:
        """The session with the vendor: address, authentication, limits, signs of error."""
        raise NotImplementedError(f"{type(self).__name__} has no API session")

    def session(self, base_url: str, **options: Any) -> ApiSession:
        """An `ApiSession` for `connect` to give: knows clock, source and certificates already."""
        options.setdefault("ca_bundle", self.settings.ca_bundle)
        session = ApiSession(
            base_url, source=self.source, clock=self.clock, meter=self.meter, **options
        )
        self._sessions.append(session)
        return session

    def close(self) -> None:
        """Hang up; a server would else wait for what never comes."""
        for session in self._sessions:
            session.close()

    @property
    def token_store(self) -> TokenStore:
        """Where a rotating refresh token is kept (see `RefreshToken`)."""
        if self._token_store is None:
            raise SourceError(f"source {self.source!r}: no folder to keep its refresh token in")
        return self._token_store

    @abstractmethod
    def read(self, obj: SourceObject, state: dict[str, Any], window: Window) -> Iterator[Page]:
        """The pages of an object that are new since `state`, which is moved on meanwhile.

        The state is kept only if the whole load completes. A back-fill gets an empty one.
        """

    @abstractmethod
    def check(self) -> list[Finding]:
        """Whether the credentials are good and what they permit, with as few calls as can be."""


# --- incremental reading ----------------------------------------------------------------------


def parse_time(text: str) -> datetime:
    """An ISO 8601 time (Z, +00:00, +0000, any fraction; a zone is UTC where absent) as aware.

    Raises:
        ValueError: it is none.
    """
    when = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def since(
    state: Mapping[str, Any], obj: SourceObject, window: Window | None = None
) -> datetime | None:
    """From when to ask: the largest cursor seen less the look-back; None: from the beginning."""
    if window is not None and window.is_backfill:
        return window.since
    seen = state.get("cursor")
    return parse_time(seen) - obj.lookback if seen else None


def advance(
    state: dict[str, Any], cursors: Iterable[str | None], *, until: datetime | None = None
) -> None:
    """Move the state to the largest cursor seen, never back and never beyond `until`.

    `until` is the vendor's clock when the reading began: a record stamped later (by a clock that
    goes ahead) would else hide those that come in between.
    """
    seen = [parse_time(text) for text in {*cursors, state.get("cursor")} if text]
    if not seen:
        return
    largest = max(seen)
    if until is not None and largest > until:
        largest = until
        if state.get("cursor"):
            largest = max(largest, parse_time(state["cursor"]))
    state["cursor"] = largest.astimezone(UTC).isoformat()


class PagingGuard:
    """Ends a paging that does not end itself."""

    def __init__(self, what: str, *, most_empty: int = 20) -> None:
        self.what = what
        self.most_empty = most_empty
        self._seen: set[str] = set()
        self._empty = 0

    def turn(self, cursor: object, rows: int) -> None:
        """Say of every page what leads to the next, and its number of records.

        Raises:
            SourceError: the vendor led to that page before, or gives empty pages without end.
        """
        self._empty = 0 if rows else self._empty + 1
        if self._empty > self.most_empty:
            raise SourceError(
                f"{self.what}: {self._empty} empty pages in a row, and still more announced; "
                "the vendor's paging does not end"
            )
        if cursor is None:
            return
        if str(cursor) in self._seen:
            raise SourceError(
                redact(
                    f"{self.what}: the vendor repeats the page {str(cursor)[:80]!r}; "
                    "reading on would never end. Run it again; if it stays so, tell the vendor"
                )
            )
        self._seen.add(str(cursor))


def known_keys(lake: Lake, dataset: str, table: str) -> pa.Array:
    """Keys whose newest version in complete loads is not a deletion, sorted."""
    newest = _newest(lake, dataset, table, "null")
    return pa.array([], pa.string()) if newest is None else newest.column("_key").combine_chunks()


def known_documents(lake: Lake, dataset: str, table: str) -> dict[str, int]:
    """Key -> hash of the newest document, of records that are not deleted."""
    newest = _newest(lake, dataset, table, "hash(document)")
    if newest is None:
        return {}
    return dict(zip(newest.column(0).to_pylist(), newest.column(1).to_pylist(), strict=True))


def _newest(lake: Lake, dataset: str, table: str, what: str) -> pa.Table | None:
    files = [name for load in lake.complete_loads(dataset) for name in load.files.get(table, ())]
    if not files:
        return None
    with lake.connect() as connection:
        # the order of versions is the one in which staging takes them
        return connection.execute(
            f"""
            with newest as (
                select _key, _deleted, {what} as value
                from read_parquet(?)
                where _key is not null
                qualify row_number() over (
                    partition by _key
                    order by
                        try_cast(_cursor as timestamptz) desc nulls last,
                        try_cast(_cursor as double) desc nulls last,
                        _cursor desc nulls last,
                        _extracted_at desc, _dlt_load_id desc, _origin desc, _row desc
                ) = 1
            )
            select _key, value from newest where not _deleted order by _key
            """,
            [files],
        ).to_arrow_table()


# --- from pages to the lake -------------------------------------------------------------------


@dataclass
class ConnectorLoad:
    """What a run of one API source did; `notes` are findings that stopped nothing."""

    result: LoadResult
    requests: int = 0
    by_object: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def load_connector(
    connector_cls: type[Connector],
    settings: Mapping[str, Any],
    *,
    source: str,
    company: str,
    lake: Lake,
    state_dir: Path,
    now: datetime,
    objects: Sequence[str] | None = None,
    window: Window | None = None,
    on_progress: Callable[[SourceObject, int, int], None] = lambda obj, rows, requests: None,
    clock: Clock | None = None,
) -> ConnectorLoad:
    """Bring what is new in a vendor's account into the lake.

    Args:
        objects: names of the objects to read; None: all.
        on_progress: called after every page with the object and its documents and requests so far.

    Raises:
        SettingError: a setting, secret or object name is wrong; nothing was asked.
        SourceError: the vendor could not be read. Nothing of this source is loaded then, and its
            state stays where it was.
    """
    window = window or Window()
    dataset = f"{company}_{source}"
    chosen = choose_objects(connector_cls, objects, source)
    connector = make_connector(
        connector_cls,
        settings,
        source=source,
        state_dir=state_dir,
        clock=clock,
        known_keys=lambda table: known_keys(lake, dataset, table),
    )
    run = _Run(
        connector,
        window,
        now.astimezone(UTC),
        on_progress,
        known_documents=lambda table: known_documents(lake, dataset, table),
    )
    resources = [
        dlt.resource(_reader(run, obj), name=obj.name, write_disposition="append") for obj in chosen
    ]
    with closing(connector):
        result = run_into_lake(
            dlt.source(lambda: resources, name=source, section=source)(),
            lake=lake,
            dataset=dataset,
            state_dir=state_dir,
        )
    return ConnectorLoad(
        result, connector.meter.requests, run.by_object, [*run.notes, *connector.notes]
    )


def choose_objects(
    connector_cls: type[Connector], names: Sequence[str] | None, source: str
) -> list[SourceObject]:
    """The objects of those names, in the connector's order; None: all."""
    known = [obj.name for obj in connector_cls.objects]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise SettingError(
            f"source {source!r}: {connector_cls.vendor} has no object {', '.join(unknown)}; "
            f"there are: {', '.join(known)}"
        )
    return [obj for obj in connector_cls.objects if names is None or obj.name in names]


def make_connector(
    connector_cls: type[Connector],
    settings: Mapping[str, Any],
    *,
    source: str,
    state_dir: Path,
    clock: Clock | None = None,
    known_keys: Callable[[str], pa.Array] = lambda table: pa.array([], pa.string()),
) -> Connector:
    """A connector with checked settings and its secrets.

    Raises:
        SettingError: a setting does not hold or a secret is not set; the message says which.
    """
    try:
        checked = connector_cls.Settings.model_validate(dict(settings))
    except ValidationError as error:
        # never the value: somebody may have put a secret there
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise SettingError(
            f"source {source!r}: settings of {connector_cls.vendor}: {problems}"
        ) from None
    found = _secrets_of(connector_cls, source)
    missing = missing_secrets(connector_cls, source, found)
    if missing:
        raise SettingError(f"source {source!r}: " + "; ".join(missing))
    return connector_cls(
        checked,
        found,
        clock=clock or SystemClock(),
        known_keys=known_keys,
        source=source,
        token_store=TokenStore(state_dir / "tokens" / f"{source}.json"),
    )


def missing_secrets(
    connector_cls: type[Connector], source: str, found: Mapping[str, str]
) -> list[str]:
    """What to set before the connector can start, a line each."""
    missing = [
        f"the secret {name} is not set: set {secret_variable(source, name)}"
        for name in connector_cls.secrets
        if name not in found
    ]
    choices = connector_cls.secret_choices
    if choices and not any(all(name in found for name in group) for group in choices):
        ways = " or ".join(
            " and ".join(secret_variable(source, name) for name in group) for group in choices
        )
        missing.append(f"no complete set of credentials: set {ways}")
    return missing


def check_connection(
    connector_cls: type[Connector],
    settings: Mapping[str, Any],
    *,
    source: str,
    state_dir: Path,
    clock: Clock | None = None,
) -> list[Finding]:
    """What is wrong with a source, if anything; asks the vendor only where it can."""
    missing = missing_secrets(connector_cls, source, _secrets_of(connector_cls, source))
    if missing:
        return [Finding(False, *line.split(": ", 1)) for line in missing]
    try:
        connector = make_connector(
            connector_cls, settings, source=source, state_dir=state_dir, clock=clock
        )
        with closing(connector):
            return connector.check()
    except CxmError as error:
        return [Finding(False, redact(error))]


def _secrets_of(connector_cls: type[Connector], source: str) -> dict[str, str]:
    chosen = [name for group in connector_cls.secret_choices for name in group]
    return read_secrets(source, tuple(dict.fromkeys([*connector_cls.secrets, *chosen])))


@dataclass
class _Run:
    """One load of one connector."""

    connector: Connector
    window: Window
    now: datetime
    on_progress: Callable[[SourceObject, int, int], None]
    known_documents: Callable[[str], dict[str, int]]
    by_object: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def tables(self, obj: SourceObject, kept: dict[str, Any]) -> Iterator[pa.Table]:
        """The object's pages as document batches; `kept` is its state, changed at the end."""
        state = {} if self.window.is_backfill else deepcopy(kept)
        window = self._window(obj, state)
        meter = self.connector.meter
        counts: dict[str, float] = {
            "documents": 0,
            "deleted": 0,
            "requests": 0,
            "waited_seconds": 0.0,
        }
        self.by_object[obj.name] = counts
        requests, waited = meter.requests, meter.waited_seconds
        rows = unshaped = 0
        known = self.known_documents(obj.name) if obj.snapshot else {}
        pages = self.connector.read(obj, state, window)
        while True:
            page = next(pages, None)
            counts["requests"] += meter.requests - requests
            counts["waited_seconds"] += meter.waited_seconds - waited
            if page is None:
                break
            table = page_table(page, obj, extracted_at=self.now, first_row=rows + 1)
            rows += len(page)
            if known and not page.deleted:
                table = _changed(table, known)
            if table.num_rows:
                unshaped += table.num_rows - table.column("_problem").null_count
                yield table
            counts["deleted" if page.deleted else "documents"] += table.num_rows
            self.on_progress(obj, rows, int(counts["requests"]))
            requests, waited = meter.requests, meter.waited_seconds
        if unshaped:
            self.notes.append(f"{obj.name}: {unshaped} records could not be shaped, see _problem")
        if not self.window.is_backfill:
            if obj.reconcile and (window.reconcile or "reconciled_at" not in state):
                state["reconciled_at"] = self.now.isoformat()
            kept.clear()
            kept.update(state)

    def _window(self, obj: SourceObject, state: Mapping[str, Any]) -> Window:
        """The window of this object: reconciled when asked for, or when its time has come."""
        if self.window.is_backfill or not obj.reconcile:
            return Window(self.window.since, self.window.until, reconcile=False)
        last = state.get("reconciled_at")  # none on the first run, when the lake knows no keys
        every = timedelta(days=self.connector.settings.reconcile_every_days)
        due = last is not None and self.now - parse_time(last) >= every
        return Window(reconcile=self.window.reconcile or due)


def _reader(run: _Run, obj: SourceObject) -> Callable[[], Iterator[pa.Table]]:
    def read() -> Iterator[pa.Table]:
        where = f"source {run.connector.source!r}: object {obj.name!r}"
        problem: CxmError | None = None
        try:
            yield from run.tables(obj, dlt.current.resource_state())
            return
        except ApiError as error:
            fix = ""
            if error.status in (401, 403) and obj.scope:
                fix = f"; reading it needs the permission {obj.scope}"
            problem = ApiError(f"{redact(error)} (object {obj.name!r}{fix})", status=error.status)
        except CxmError as error:
            problem = type(error)(f"{where}: {redact(error)}")
        except Exception as error:
            problem = SourceError(
                f"{where}: the reply is not what was expected "
                f"({type(error).__name__}: {redact(error)}); has the vendor's API changed?"
            )
            if redact(error) == str(error):
                problem.__cause__ = error  # its trace shows where
        # outside the handlers, so that what the caught error holds does not come along
        raise problem

    return read


def page_table(
    page: Page, obj: SourceObject, *, extracted_at: datetime, first_row: int = 1
) -> pa.Table:
    """A page as a document batch; records without their key land with a `_problem`."""
    n = len(page)
    cursors: Any
    problems: Any = page.problems
    if page.documents is None:
        documents: Any = _encode(page.records)
        keys: Any
        keys, problems = _keys(page.records, obj.key)
        if page.cursor is not None or obj.cursor is None:
            cursors = [page.cursor] * n
        else:
            cursors = [_text(value) for value in _values(page.records, obj.cursor)]
    else:
        if page.keys is None:
            raise SourceError(f"object {obj.name!r}: a page of JSON texts came without keys")
        documents, keys = pa.array(page.documents, pa.string()), page.keys
        cursors = page.cursors if page.cursors is not None else [page.cursor] * n
        if problems is None:
            missing = f"has no {KEY_SEPARATOR.join(obj.key)}"
            problems = [missing if key is None else None for key in _listed(keys)]
    if page.deleted:
        # one without a cursor would count as older than any version with one
        gone_by = extracted_at.isoformat()
        cursors = [gone_by if cursor is None else cursor for cursor in _listed(cursors)]
    return document_batch(
        documents,
        extracted_at=extracted_at,
        origin=redact(page.origin) if page.origins is None else page.origins,
        keys=keys,
        cursors=cursors,
        deleted=pa.repeat(pa.scalar(page.deleted), n),
        rows=np.arange(first_row, first_row + n) if page.rows is None else page.rows,
        problems=problems,
    )


def _changed(table: pa.Table, known: Mapping[str, int]) -> pa.Table:
    """Those documents that differ from the newest in the lake."""
    hashes = duckdb.sql('select hash(document) as value from "table"').to_arrow_table()["value"]
    keys = table["_key"].to_pylist()
    differs = [known.get(k) != v for k, v in zip(keys, hashes.to_pylist(), strict=True)]
    return table.filter(pa.array(differs, pa.bool_()))


def _encode(records: Sequence[Mapping[str, Any]]) -> pa.Array:
    try:
        texts: list[Any] = [orjson.dumps(record) for record in records]
    except (TypeError, orjson.JSONEncodeError):  # lone surrogates, integers above 64 bits
        texts = [json.dumps(record) for record in records]
    return pa.array(texts, pa.string())


def _keys(
    records: Sequence[Mapping[str, Any]], paths: tuple[str, ...]
) -> tuple[list[str | None], list[str | None] | None]:
    columns = [[_text(value) or None for value in _values(records, path)] for path in paths]
    if len(columns) == 1:
        keys: list[str | None] = columns[0]
    else:
        keys = [
            None if None in parts else KEY_SEPARATOR.join(parts)
            for parts in zip(*columns, strict=True)
        ]
    if None not in keys:
        return keys, None
    problems: list[str | None] = [
        None if None not in parts else f"has no {paths[parts.index(None)]}"
        for parts in zip(*columns, strict=True)
    ]
    return keys, problems


def _values(records: Sequence[Mapping[str, Any]], path: str) -> list[Any]:
    """What the records hold at a dotted path; None where it leads nowhere."""
    values: list[Any] = list(records)
    for part in path.split("."):
        values = [v.get(part) if isinstance(v, Mapping) else None for v in values]
    return values


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, (bool, dict, list)) else str(value)


def _listed(values: Any) -> list[Any]:
    return values.to_pylist() if isinstance(values, (pa.Array, pa.ChunkedArray)) else list(values)
