"""`cxm simulate`: a company with a known truth, and the vendors' APIs that show it."""

import json
import signal
import time
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import typer

from ingestion.errors import SettingError

app = typer.Typer(
    help="Simulate a company with a known truth, and the vendors' APIs that show it.",
    invoke_without_command=True,
)

FOLDER = "simulation"  # in CXM_HOME
CUSTOMERS, SEED, DAYS = 5_000, 7, 730


def simulation_folder() -> Path:
    """Where the simulated company of this installation is."""
    from orchestration.settings import Settings

    return Settings.from_env().home / FOLDER


@app.callback()
def simulate(
    context: typer.Context,
    customers: Annotated[
        int | None,
        typer.Option(help=f"Real people by the end of the story. (default: {CUSTOMERS:,})"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help=f"Another seed is another story. (default: {SEED})")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(help=f"Of a new story (default: {DAYS}), or to go on by (default: 1)"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")] = False,
) -> None:
    """Make a company whose story ends now; if there is one, let further days pass in it."""
    if context.invoked_subcommand is not None:
        return
    from ingestion.simulator.company import Company
    from ingestion.simulator.connection import make_company, settle
    from orchestration.settings import now

    folder = simulation_folder()
    if (folder / "company.json").exists():
        company = Company.open(folder)
        for name, given, kept in (
            ("--customers", customers, company.customers),
            ("--seed", seed, company.seed),
        ):
            if given not in (None, kept):
                raise SettingError(
                    f"{folder} holds a company made with {name} {kept}; leave {name} away to let "
                    "time pass in it, or remove the folder to make another"
                )
        company.advance(days=1 if days is None else days)
        settle(company)
    else:
        make_company(
            folder,
            customers=CUSTOMERS if customers is None else customers,
            seed=SEED if seed is None else seed,
            days=DAYS if days is None else days,
            end=now().astimezone(UTC).replace(microsecond=0),
        )
    _print_status(as_json)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 takes a free one.")] = 8443,
    tls: Annotated[bool, typer.Option(help="HTTPS, or plain HTTP.")] = True,
    ticking: Annotated[
        bool, typer.Option(help="Limits and token lives go with the wall clock, not by request.")
    ] = False,
    speed: Annotated[float, typer.Option(help="With --ticking: virtual seconds a second.")] = 1.0,
    faults: Annotated[
        Path | None, typer.Option(help="YAML file with what shall go wrong.", exists=True)
    ] = None,
    journal: Annotated[bool, typer.Option(help="At the end, write journal.ndjson.")] = False,
) -> None:
    """Answer as the vendors' APIs do, until interrupted."""
    from ingestion.simulator.company import Company
    from ingestion.simulator.server.app import VENDORS, serving
    from ingestion.simulator.server.faults import load_faults

    company = Company.open(simulation_folder())
    planned = load_faults(faults) if faults else []
    with serving(
        company, port=port, tls=tls, ticking=ticking, speed=speed, planned=planned
    ) as server:
        typer.echo(f"answering on {server.url}/<vendor>: {', '.join(VENDORS)}")
        if server.authority:
            typer.echo(f"clients have to trust {server.authority}")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in order
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass
        finally:
            if journal:
                server.simulator.journal.write(company.folder / "journal.ndjson")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")] = False,
) -> None:
    """How large the company is and what time it is there."""
    _print_status(as_json)


@app.command()
def credentials() -> None:
    """What lets a client in, by vendor; it opens nothing but this simulator."""
    from ingestion.simulator.company import Company
    from ingestion.simulator.credentials import environment
    from ingestion.sources.registry import VENDORS

    seed = Company.open(simulation_folder()).seed
    for name, value in environment(seed, {vendor: vendor for vendor in VENDORS}).items():
        typer.echo(f"{name}={value}")


def _print_status(as_json: bool) -> None:
    from ingestion.simulator.company import Company

    company = Company.open(simulation_folder())
    happened = {
        name: company.query(f"select count(*) from world.{name} as t where t.{at} <= clock()")[0][0]
        for name, at in _COUNTED.items()
    }
    found: dict[str, Any] = {
        "folder": str(company.folder),
        "seed": company.seed,
        "customers": company.customers,
        "started_at": company.started_at.isoformat(),
        "clock": company.clock.isoformat(),
        "happened": happened,
    }
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(
        f"{company.customers:,} customers (seed {company.seed}) in {company.folder}: from "
        f"{company.started_at:%Y-%m-%d} to {company.clock:%Y-%m-%d %H:%M} UTC"
    )
    for name, count in happened.items():
        typer.echo(f"{count:>12,} {name}")


_COUNTED = {
    "person": "entered_at", "record": "changed_at", "orders": "placed_at", "web_event": "at",
    "ticket": "created_at", "message": "at", "survey_response": "recorded_at",
    "email_send": "sent_at", "opportunity": "created_at",
}  # fmt: skip
