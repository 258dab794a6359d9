"""Loading one source for the scheduler, and remembering how the last attempt went."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from rich.markup import escape

from ingestion.errors import CxmError
from ingestion.exports.mapping import LoadedMapping
from ingestion.sources.exports import load_exports
from orchestration import progress
from orchestration.settings import Settings


@dataclass(frozen=True)
class Attempt:
    """The last attempt to load a source. `notes` stopped nothing; `error` stopped the source."""

    source: str
    at: str
    error: str | None = None
    load_id: str | None = None
    documents: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def load_source(settings: Settings, mapping: LoadedMapping, source: str, at: datetime) -> Attempt:
    """Load a source; a source that fails says so in its attempt and harms no other."""
    try:
        load = load_exports(
            mapping,
            source,
            lake=settings.lake,
            state_dir=settings.state / "loads",
            now=at,
            on_file=lambda name, rows: progress.say(
                f"  {source}: {escape(name)}, {rows:,} records"
            ),
        )
        attempt = Attempt(
            source, at.isoformat(), None, load.result.load_id, load.result.documents, load.notes
        )
    except Exception as error:
        attempt = Attempt(source, at.isoformat(), _plain(error))
        progress.say(f"[red]  {source}: {escape(str(attempt.error))}[/red]")
    _remember(settings, mapping, attempt)
    return attempt


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
