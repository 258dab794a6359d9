"""`cxm run`: the daily job, in this process, with its history kept for the Dagster UI."""

import logging
import re
import sqlite3
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape

from orchestration import progress
from orchestration.manifest import parse
from orchestration.settings import Settings, exclusive
from orchestration.simulation import prepare_company

_OURS = "cxm/command"  # tag of the runs that this command made, not Dagster's own scheduler


@dataclass
class Outcome:
    """How a run ended, in words for people and in fields for machines."""

    succeeded: bool
    run_id: str
    version: str | None
    published_new: bool
    failed_sources: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    settings: Settings | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "succeeded": self.succeeded,
            "run_id": self.run_id,
            "published_version": self.version,
            "published_new": self.published_new,
            "failed_sources": self.failed_sources,
            "errors": self.errors,
        }

    def lines(self) -> list[str]:
        failed = [f"{source}: {error}" for source, error in self.failed_sources.items()]
        lines = [f"[red]{escape(error)}[/red]" for error in [*failed, *self.errors]]
        if self.succeeded and self.settings is not None:
            what = "published" if self.published_new else "up to date, nothing new to publish:"
            lines += [
                f"[bold green]{what} {self.version}[/bold green]",
                f"  marts   {self.settings.published / 'current' / 'cxm.duckdb'}",
                f"  report  {self.settings.reports / 'latest.html'}",
                f"  checks  {self.settings.reports / 'validation.html'}",
                "  more    cxm status, cxm audit, cxm ui",
            ]
        return lines


def _write_history_quickly() -> None:
    """Let a run of hundreds of assets not wait for the disk at each of its events.

    Dagster opens a file anew for each event, and the last to close one brings its log home: so one
    stays open. The files are in WAL mode: a crash of the machine costs their last moments only.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    held: dict[str, sqlite3.Connection] = {}

    @event.listens_for(Engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("pragma synchronous = normal")
        file = connection.execute("pragma database_list").fetchone()[2]
        if file and file not in held:
            held[file] = sqlite3.connect(file, check_same_thread=False)
        if file:
            held[file].execute("select count(*) from sqlite_master").fetchone()


def run_daily(settings: Settings, *, full_refresh: bool = False) -> Outcome:
    """Run the daily job to its end and say how it went."""
    warnings.filterwarnings("ignore")
    # what Dagster has to say is in its event log; the console belongs to our own progress
    logging.getLogger("dagster").addHandler(logging.NullHandler())
    mapping = settings.mapping()
    with exclusive(settings.state / "run.lock", "this warehouse's run", wait_seconds=0):
        with ThreadPoolExecutor(1) as another, progress.step("starting Dagster"):
            # a process of its own: meanwhile this one makes the company, or imports
            parsing = another.submit(parse, settings)
            prepare_company(settings, mapping)
            _write_history_quickly()
            import dagster as dg

            from orchestration.definitions import defs
            from orchestration.jobs import DAILY_JOB
            from orchestration.publish import current_publication, publications

            parsing.result()
            job = defs().resolve_job_def(DAILY_JOB)
        before = {p.version for p in publications(settings.published)}
        with dg.DagsterInstance.get() as instance:
            _end_killed_runs(instance)
            result = job.execute_in_process(
                instance=instance,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags={_OURS: "run", **({"cxm/full_refresh": "true"} if full_refresh else {})},
            )
    failed_sources = {}
    for evaluation in result.get_asset_check_evaluations():
        if evaluation.check_name.endswith("_loaded") and not evaluation.passed:
            error = evaluation.metadata.get("error")
            failed_sources[evaluation.check_name.removesuffix("_loaded")] = str(
                error.value if error else "failed"
            )
    errors = [
        f"{event.step_key}: {_innermost(event.step_failure_data.error)}"
        for event in result.all_events
        if event.is_step_failure
    ]
    current = current_publication(settings.published)
    return Outcome(
        succeeded=result.success and current is not None,
        run_id=result.run_id,
        version=current.version if current else None,
        published_new=current is not None and current.version not in before,
        failed_sources=failed_sources,
        errors=errors,
        settings=settings,
    )


def _end_killed_runs(instance: Any) -> None:
    """A run that was killed counts as running and keeps its pools, so the next would wait for ever.

    Whoever holds the run lock knows that no other run of this command is alive.
    """
    import dagster as dg

    alive = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=alive, tags={_OURS: "run"})):
        instance.report_run_failed(run, "the process was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _innermost(error: Any) -> str:
    """The message at the root of a chain of wrapped errors, without the class that carries it."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "failed"
    if "Interrupted" in str(error.message):
        return "interrupted; run again to go on"
    return re.sub(r"^[\w.]+(?:Error|Exception|Failure): ", "", str(error.message)).strip()
