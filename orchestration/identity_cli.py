"""`cxm identity`: why records are one customer, and what people decide about it."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

app = typer.Typer(help="Who is who: explain, review, merge and unmerge customers.")
console = Console(highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
Reason = Annotated[str, typer.Option(help="Why; it stays in the ledger.")]
By = Annotated[str | None, typer.Option(help="Who decides; the user of the machine by default.")]
_BAR = 30  # characters of the widest bar


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="A customer id, or a record as source:id.")],
    html: Annotated[Path | None, typer.Option(help="Write it as a page to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Why these records are one customer: ties, scores, guards and what happened."""
    from orchestration import identity

    found = identity.explain(_settings(), name)
    if html:
        identity.write_page(found, html)
        console.print(f"written to {html}")
        return
    if as_json:
        typer.echo(identity.as_json(found))
        return
    console.print(f"[bold]{found.customer_id}[/bold]: {len(found.records)} records")
    table = Table(box=None, pad_edge=False)
    for title in ("record", "name", "tied by", "with", "since"):
        table.add_column(title, overflow="fold")
    for row in found.records:
        tie = row["rule"] + (f" {row['value']}" if row["value"] else "")
        cells = (row["record_key"], row["name"] or "", tie, row["with_key"] or "")
        table.add_row(*map(escape, cells), f"{row['since']:%Y-%m-%d}")
    _print_table(table)
    for pair in found.pairs[:5]:
        _print_pair(pair, "one person")
    for row in found.unused:
        console.print(
            f"[yellow]ties nobody[/yellow] {row['identifier_type']}"
            f" {escape(row['identifier_value'])}: {row['blocked_by']}"
            f" ({row['sharing_records']} records)"
        )
    for pair in found.in_doubt[:5]:
        _print_pair(pair, f"{pair['level']}, with {pair['customer_id']}")
    for event in found.events:
        moved = f"{event['records']} records"
        if event["touches"] is not None:
            moved += f" with {event['touches']} touches"
        console.print(
            f"{event['occurred_at']:%Y-%m-%d %H:%M} {event['kind']} {event['from_id']} ->"
            f" {event['to_id']}: {escape(event['reason'] or '')}, {moved},"
            f" by {escape(event['actor'])}"
        )


@app.command()
def review(
    limit: Annotated[int, typer.Option(min=1, help="Pairs to show.")] = 10, as_json: Json = False
) -> None:
    """Pairs that somebody should look at, the likeliest first."""
    from orchestration import identity

    queue = identity.review(_settings(), limit)
    if as_json:
        typer.echo(json.dumps(queue, indent=1, default=str))
        return
    if not queue:
        console.print("nothing is in doubt")
    for pair in queue:
        names = f"{pair['left_name'] or '?'} / {pair['right_name'] or '?'}"
        _print_pair(pair, names)
        console.print(
            f"  cxm identity decide {escape(pair['left_key'])} {escape(pair['right_key'])}"
            " same|different --reason ..."
        )


@app.command()
def decide(
    left: str, right: str, verdict: Literal["same", "different"], reason: Reason, by: By = None
) -> None:
    """Decide on one pair of records of the queue."""
    from orchestration import identity

    word: identity.Decision = "merge" if verdict == "same" else "apart"
    _tell(identity.decide(_settings(), left, right, word, reason=reason, actor=by))


@app.command()
def merge(left: str, right: str, reason: Reason, by: By = None) -> None:
    """Decide that two customers, or records, are one person."""
    from orchestration import identity

    _tell(identity.merge(_settings(), left, right, reason=reason, actor=by))


@app.command()
def unmerge(customer: str, records: list[str], reason: Reason, by: By = None) -> None:
    """Decide that some records of a customer are another person than the rest."""
    from orchestration import identity

    _tell(identity.unmerge(_settings(), customer, records, reason=reason, actor=by))


def _settings() -> Any:
    from orchestration.settings import Settings

    settings = Settings.from_env()
    settings.prepare()
    return settings


def _tell(decisions: int) -> None:
    console.print(f"{decisions} decisions written; the next `cxm run` follows them")


def _print_pair(pair: dict[str, Any], title: str) -> None:
    """A pair's weights as bars, from the odds at the start to the sum."""
    from orchestration.identity import steps_of

    console.print(
        f"[bold]{escape(pair['left_key'])}[/bold] and [bold]{escape(pair['right_key'])}[/bold]:"
        f" {escape(title)}, probability {pair['match_probability']:.4f}"
    )
    steps = steps_of(pair)
    widest = max(abs(step["weight"]) for step in steps)
    for step in steps:
        bar = "█" * round(_BAR * abs(step["weight"]) / widest)
        color = "green" if step["weight"] >= 0 else "red"
        console.print(f"  {step['weight']:+7.1f}  [{color}]{bar:<{_BAR}}[/{color}] {step['name']}")


def _print_table(table: Table) -> None:
    Console(highlight=False, width=max(console.width, 160)).print(table)
