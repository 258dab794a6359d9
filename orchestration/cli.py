"""The `cxm` command. Heavy imports wait until a command needs them."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ingestion.errors import CxmError, MappingError, SettingError
from ingestion.simulator.cli import app as simulator_app
from orchestration.identity_cli import app as identity_app
from orchestration.settings import Settings, now

if TYPE_CHECKING:
    from orchestration.sources import Attempt

app = typer.Typer(
    help="The customer-experience warehouse: load, build, gate, publish, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sources_app = typer.Typer(help="The systems that are connected, one by one.")
app.add_typer(sources_app, name="sources")
app.add_typer(identity_app, name="identity")
app.add_typer(simulator_app, name="simulate")
# one line stays one line, however long: what greps a pipe must not meet breaks of its width
console = Console(highlight=False, soft_wrap=True)

# Exit codes that a scheduler can trust.
FAILED = 1  # nothing new was published
MISUSED = 2  # wrong mapping, setting or argument; nothing was done
PARTIAL = 3  # published, but a source could not be loaded

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


@app.command()
def run(
    full_refresh: Annotated[
        bool, typer.Option(help="Build everything from the lake again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Load every source, build, gate, publish, report. Ends with 0, or 1 failed, 3 partly done."""
    settings = _settings()
    os.environ.setdefault("CXM_PROGRESS", "1")
    from orchestration.run import run_daily

    outcome = run_daily(settings, full_refresh=full_refresh)
    if as_json:
        typer.echo(json.dumps(outcome.as_dict(), indent=1))
    else:
        for line in outcome.lines():
            console.print(line)
    if not outcome.succeeded:
        raise typer.Exit(FAILED)
    if outcome.failed_sources:
        raise typer.Exit(PARTIAL)


@app.command()
def status(as_json: Json = False) -> None:
    """Loads, freshness, quarantine, checks and the published version."""
    from orchestration.status import read_status

    found = read_status(_settings())
    if as_json:
        typer.echo(json.dumps(found, indent=1, default=str))
        return
    _print_status(found)


@app.command()
def publish(
    rollback: Annotated[bool, typer.Option(help="Make the version before current again.")] = False,
    to: Annotated[str | None, typer.Option(help="With --rollback: the version to go to.")] = None,
    as_json: Json = False,
) -> None:
    """Publish the warehouse as it was last built and gated, or go back to an earlier version."""
    from orchestration import publish as publishing
    from orchestration.warehouse import commit_identity, read_plan, recorded_build

    if to is not None and not rollback:
        raise SettingError("--to goes with --rollback")
    settings = _settings()
    with settings.warehouse_lock():
        if rollback:
            publication = publishing.rollback(settings.published, to)
        else:
            from orchestration.gates import run_gates
            from orchestration.reports import write_report

            recorded_build(settings.warehouse)
            outcome = run_gates(settings, settings.mapping(), "by-hand")
            if outcome.blocks("landed") or outcome.blocks("marts"):
                raise CxmError(f"the gates do not let it pass; see {outcome.page}")
            # ids that readers see must outlive the warehouse
            commit_identity(settings.warehouse, settings.lake, read_plan(settings)["company"])
            publication = publishing.publish_build(settings)
            write_report(settings)
    if as_json:
        typer.echo(json.dumps({"current": publication.version, "as_of": publication.as_of}))
    else:
        console.print(f"current is now [bold]{publication.version}[/bold]")


@app.command()
def audit(as_json: Json = False) -> None:
    """Which KPI of which stage the connected sources can give, and what blocks the others."""
    from orchestration.audit import audit_kpis

    rows = audit_kpis(_settings().mapping())
    if as_json:
        typer.echo(json.dumps([row.__dict__ for row in rows], indent=1))
        return
    table = Table("stage", "KPI", "owner", "computable", box=None, pad_edge=False)
    longest = max((len(name) for row in rows for name in row.missing), default=7)
    table.add_column("missing", overflow="fold", min_width=longest)
    for row in rows:
        table.add_row(
            row.stage,
            row.name,
            row.owner_team,
            "[green]yes[/green]" if row.computable else "[red]no[/red]",
            "\n".join(row.missing),
        )
    _print_table(table)


@app.command()
def docs(
    compiled: Annotated[bool, typer.Option(help="With the SQL as it runs: takes longer.")] = True,
) -> None:
    """Write dbt's docs of all models, with their columns, tests and lineage, as one page."""
    from orchestration.catalog import write_docs

    page = write_docs(_settings(), compiled=compiled)
    console.print(f"{page} ({page.stat().st_size / 1e6:.1f} MB), open it in a browser")


@app.command()
def check() -> None:
    """Check the mapping and the headers of its files; load nothing."""
    from ingestion.exports.reader import check_header
    from ingestion.sources.exports import find_files

    mapping = _settings().mapping()
    problems, count = [], 0
    for source, table, spec in mapping.files():
        try:
            for path in find_files(mapping, source, table):
                check_header(path, spec, mapping.columns(source, table))
                count += 1
        except CxmError as error:
            problems.append(str(error))
    for problem in problems:
        console.print(f"[red]{escape(problem)}[/red]")
    if problems:
        raise typer.Exit(MISUSED)
    console.print(f"{mapping.path.name} holds: {count} files can be read")


@sources_app.callback(invoke_without_command=True)
def sources(context: typer.Context, as_json: Json = False) -> None:
    """The systems that are connected: when they were last asked, and what they brought."""
    if context.invoked_subcommand:
        return
    from orchestration.sources import list_sources

    rows = list_sources(_settings())
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("source", "by", "last attempt", "last load", "documents", "requests", "state",
                  box=None, pad_edge=False)  # fmt: skip
    for row in rows:
        state = "[green]ok[/green]" if row["last_attempt"] else "not yet loaded"
        if row["error"]:
            state = "[red]failed[/red]"
        table.add_row(
            row["source"],
            row["connector"] or "files",
            (row["last_attempt"] or "never")[:16].replace("T", " "),
            (row["last_load"] or "never")[:16].replace("T", " "),
            f"{row['documents']:,}",
            f"{row['requests']:,}" if row["connector"] else "",
            state if row["enabled"] else "switched off",
        )
    _print_table(table)
    for row in rows:
        if row["error"]:
            console.print(f"[red]failed[/red] {escape(row['error'])}")


@sources_app.command("check")
def check_sources(
    name: Annotated[str | None, typer.Argument(help="All that are switched on by default.")] = None,
) -> None:
    """Whether a source can be reached: its credentials and permissions, or its files."""
    from orchestration.sources import check_source

    settings = _settings()
    mapping = settings.mapping()
    failed = False
    for source in [name] if name else mapping.sources:
        for finding in check_source(settings, mapping, source):
            failed |= not finding.ok
            mark = "[green]ok[/green]" if finding.ok else "[red]failed[/red]"
            fix = f"; {escape(finding.fix)}" if finding.fix else ""
            console.print(f"{mark} {source}: {escape(finding.what)}{fix}")
    if failed:
        raise typer.Exit(FAILED)


@sources_app.command()
def backfill(
    name: str,
    since: Annotated[str, typer.Option(help="First moment, ISO 8601; UTC if it names no zone.")],
    until: Annotated[str | None, typer.Option(help="Last moment; now by default.")] = None,
    objects: Annotated[
        list[str] | None, typer.Option("--object", help="Object to read; all by default.")
    ] = None,
) -> None:
    """Read a span of time of a source once more; what the next load reads stays as it is."""
    from orchestration.sources import backfill_source

    settings = _settings()
    os.environ.setdefault("CXM_PROGRESS", "1")
    first, last = _moment("--since", since), _moment("--until", until) if until else now()
    if first >= last:
        raise SettingError(f"--since {since} is not before --until {until or 'now'}")
    _tell(
        backfill_source(
            settings, settings.mapping(), name, now(), since=first, until=last, objects=objects
        )
    )


@sources_app.command()
def reconcile(name: str) -> None:
    """Load a source and compare what it lists with what is known: what has gone is marked so."""
    from orchestration.sources import reconcile_source

    settings = _settings()
    os.environ.setdefault("CXM_PROGRESS", "1")
    _tell(reconcile_source(settings, settings.mapping(), name, now()))


@sources_app.command()
def receive(
    name: str,
    port: Annotated[int, typer.Option(help="On 127.0.0.1; put a proxy with TLS in front.")] = 8765,
) -> None:
    """Take in the webhook of a Segment source until interrupted: POST /segment."""
    import uvicorn

    from orchestration.sources import webhook_receiver

    settings = _settings()
    app = webhook_receiver(settings.mapping(), name)
    console.print(f"receiving {name} on http://127.0.0.1:{port}/segment")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def _print_table(table: Table) -> None:
    """In its full width, also into a pipe: what greps it must not meet broken cells."""
    Console(highlight=False, width=max(console.width, 120)).print(table)


def _tell(attempt: "Attempt") -> None:
    for note in attempt.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}")
    if attempt.error:
        raise CxmError(attempt.error)
    for table, documents in attempt.documents.items():
        console.print(f"{table}: {documents:,} documents")
    console.print(f"{sum(attempt.requests.values()):,} requests; `cxm run` builds from them")


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(f"{option} is {text!r}; write it as 2026-01-31T08:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@app.command()
def ui(port: int = 3000, host: str = "127.0.0.1") -> None:
    """Open Dagster with the history of all runs."""
    settings = _settings()
    from orchestration.manifest import put_venv_on_path

    put_venv_on_path()
    console.print(f"Dagster on http://{host}:{port}")
    command = ["dagster", "dev", "-m", "orchestration.definitions", "-h", host, "-p", str(port)]
    os.chdir(settings.home)
    os.execvp(command[0], command)


@app.command("mapping-schema")
def mapping_schema() -> None:
    """Print the JSON Schema of a mapping file."""
    from ingestion.exports.mapping import Mapping

    typer.echo(json.dumps(Mapping.model_json_schema(), indent=1))


def _settings() -> Settings:
    settings = Settings.from_env()
    now()  # a wrong CXM_NOW is refused before anything is done
    settings.prepare()
    return settings


def _print_status(found: dict[str, Any]) -> None:
    published = found["published"]
    if published:
        console.print(
            f"[bold]published[/bold] {published['version']}, as of {published['as_of']} UTC;"
            f" {len(found['versions'])} versions kept"
            + (" [yellow](rolled back)[/yellow]" if found["rolled_back"] else "")
        )
    else:
        console.print("[yellow]nothing is published yet: run `cxm run`[/yellow]")
    if found["is_building"]:
        console.print("a run is writing the warehouse; quality is that of the published version")
    table = Table("source", "last attempt", "newest data", "received", "accepted", "quarantined",
                  "state", box=None, pad_edge=False, title_justify="left")  # fmt: skip
    for row in found["sources"]:
        state = "[green]ok[/green]" if row["last_attempt"] else "not yet loaded"
        if row["error"]:
            state = "[red]failed[/red]"
        table.add_row(
            row["source"],
            (row["last_attempt"] or "never")[:16].replace("T", " "),
            str(row["newest"] or "")[:16],
            f"{row['received']:,}",
            f"{row['accepted']:,}",
            f"{row['quarantined']:,}",
            state,
        )
    _print_table(table)
    for row in found["sources"]:
        if row["error"]:
            console.print(f"[red]failed[/red] {escape(row['error'])}")
        for note in row["notes"]:
            console.print(f"[yellow]note[/yellow] {row['source']}: {escape(note)}")
    for row in found["quarantine"]:
        value = row["example_value"]
        console.print(
            f"[yellow]quarantined[/yellow] {row['rows']:,} in {escape(row['origin'])}:"
            f" {row['column_name'] or ''} {escape(row['reason'])} (e.g. row {row['example_row']}"
            + (f", {escape(repr(value))})" if value is not None else ")")
        )
    for row in found["findings"]:
        console.print(
            f"[yellow]noticed[/yellow] {row['records']:,} {row['model']} of {row['source']}:"
            f" {row['explanation']} (e.g. {escape(str(row['example']))})"
        )
    for row in found["failed_checks"]:
        console.print(f"[red]check failed[/red] {row['asset']}: {row['check']}")
    for row in found["alerts"]:
        console.print(
            f"[red]alert[/red] {row['at'][:19]} {row['step']}: {escape(row['error'][:200])}"
        )


def main() -> None:
    """Run the command; an error of ours is one plain message and an exit code, no traceback."""
    try:
        app()
    except CxmError as error:
        Console(stderr=True, highlight=False).print(
            f"[red]{escape(str(error))}[/red]", soft_wrap=True
        )
        sys.exit(MISUSED if isinstance(error, MappingError | SettingError) else FAILED)


if __name__ == "__main__":
    main()
