"""The monthly report: what the company looks like to its customers, on one page.

The page is a function of the published database and the arguments: the same input gives the
same bytes. 'Now' is the `as_of` of the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestration.reports import charts, words
from orchestration.reports.readings import (
    COUNTS,
    ENOUGH,
    SIGN,
    STAGES,
    STILL_GROWING,
    Kpi,
    Marts,
    add_months,
    deciding_volume,
    month_range,
    monthly_values,
    select_month,
)

CUSTOMER_DOES = {
    "awareness": "sees an ad or a campaign, hears of it from friends",
    "consideration": "researches, compares features and prices",
    "decision": "buys",
    "service": "receives the product, contacts service, reads documentation",
    "loyalty": "buys again, shares the experience",
}
VOLUME_NAMES = {"orders": "orders", "survey_responses": "survey answers"}
Volumes = Mapping[date, Mapping[str, float]]
SCORES = ("csat", "nps", "ces")
ACCURACY = {
    "precision": "Precision",
    "recall": "Recall",
    "bcubed_precision": "B-cubed precision",
    "bcubed_recall": "B-cubed recall",
}
INTERVALS = {
    "wilson": "Wilson interval of a share",
    "mean": "normal interval of a mean",
    "net score": "normal interval of a score of +1, 0 and −1 per answer",
}


@dataclass(frozen=True)
class ReportInfo:
    """What was written, for logs and asset metadata."""

    path: Path
    size: int
    month: date | None  # None where there was nothing to report
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # names of KPIs that no source feeds


def build_report(
    database: Path,
    target: Path,
    *,
    title: str,
    currency: str,
    month: date | None = None,
    published_version: str | None = None,
) -> ReportInfo:
    """Write the page about one month of a published database; `title` is its heading."""
    with duckdb.connect(str(database), read_only=True) as connection:
        page = _page(Marts(connection), currency, month)
    size = render(
        "monthly.html.j2",
        target,
        **page, title=title, version=published_version, palette=charts.PALETTE,
    )  # fmt: skip
    return ReportInfo(target, size, **page["info"])


def render(template: str, target: Path, **values: Any) -> int:
    """Write a page from a template of this folder; returns its bytes.

    A reader finds the old page or the new one, never half of one.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template(template).render(**values)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    draft.write_text(html, encoding="utf-8", newline="\n")
    draft.replace(target)
    return len(html.encode())


def _page(marts: Marts, currency: str, month: date | None) -> dict[str, Any]:
    as_of = marts.as_of()
    quality = _quality(marts)
    if as_of is None:
        _, missing = marts.kpis(date.max)
        return {
            **quality,
            "as_of": None,
            "month": None,
            "missing": missing,
            "info": {"month": None, "missing": tuple(missing)},
        }
    volumes, today = marts.volumes(), marts.today()
    month = month.replace(day=1) if month else select_month(volumes, today)
    before = add_months(month, -1)
    kpis, missing = marts.kpis(month)
    by_identity = marts.by_identity(month)
    clear, unclear = _compared(kpis, month)
    recent = month_range(add_months(month, -12), month)
    by_stage = marts.customers_by_stage()
    customers = sum(by_stage.values())
    rows = [
        (kpi, _kpi_row(kpi, month, recent, currency, by_identity.get(kpi.kpi_id, [])))
        for kpi in kpis
    ]
    unknown = [
        kpi.name
        for kpi in kpis
        if kpi.is_headline and kpi.level != "none" and month in kpi.readings
        and kpi.kpi_id not in by_identity
    ]  # fmt: skip
    stages = [
        {
            "name": stage,
            "does": CUSTOMER_DOES[stage],
            "customers": words.count(by_stage.get(stage, 0)),
            "share": words.figure(by_stage.get(stage, 0) / customers, "share", currency)
            if customers
            else None,
            "kpis": [row for kpi, row in rows if kpi.stage == stage and kpi.is_headline],
            "further": [row for kpi, row in rows if kpi.stage == stage and not kpi.is_headline],
        }
        for stage in STAGES
    ]
    return {
        **quality,
        "as_of": f"{words.day(as_of)}, {as_of:%H:%M} UTC",
        "as_of_day": words.day(as_of),
        "month": words.month_name(month),
        "before": words.month_name(before),
        "notices": _notices(volumes, month, today),
        "volume_sentences": _volume_sentences(kpis, month, currency),
        "clear": [_clear_sentence(kpi, month, currency) for kpi in clear],
        "unclear": [_unclear_sentence(kpi, month, currency) for kpi in unclear],
        "compared": len(clear) + len(unclear),
        "depends_on_identity": any(row["by_identity"] for _, row in rows),
        "not_by_identity": words.listed(unknown) if unknown else None,
        "stages": stages,
        "charts": {
            "stages": _stages_chart(by_stage, words.day(as_of)),
            "money": _money_chart(kpis, month, currency),
            "scores": _score_charts(kpis, month, currency),
            "retention": _retention_chart(marts, month),
        },
        "comments": [
            {
                "day": words.day(row["responded_on"]),
                "score": f"{row['score']:g}"
                + (f" of {row['scale_max']:g}" if row["scale_max"] is not None else ""),
                "source": row["source"],
                "kind": row["kind"].upper() if row["kind"] in SCORES else row["kind"],
                "text": words.comment_text(row["comment"]),
            }
            for row in marts.low_score_comments(month)
        ],
        "missing": missing,
        "definitions": [
            {
                "name": kpi.name,
                "version": kpi.version,
                "definition": kpi.definition,
                "interval": INTERVALS.get(kpi.interval, kpi.interval) if kpi.interval else None,
                "source": kpi.source,
            }
            for kpi in sorted(kpis, key=lambda kpi: kpi.name)
        ],
        "info": {
            "month": month,
            "changed": tuple(kpi.kpi_id for kpi in clear),
            "unchanged": tuple(kpi.kpi_id for kpi in unclear),
            "missing": tuple(missing),
        },
    }


def _compared(kpis: list[Kpi], month: date) -> tuple[list[Kpi], list[Kpi]]:
    """Headline KPIs with a clear change, the clearest first, and those without."""
    clear, unclear = [], []
    for kpi in kpis:
        change = kpi.change(month)
        if change is None or change.margin is None or not kpi.is_headline:
            continue
        if change.is_clear:
            certainty = abs(change.difference) / change.margin if change.margin else float("inf")
            clear.append((-certainty, kpi.name, kpi))
        else:
            unclear.append(kpi)
    return [kpi for _, _, kpi in sorted(clear, key=lambda each: each[:2])], unclear


def _notices(volumes: Volumes, month: date, today: date) -> list[str]:
    """Why this month, where a reader would expect another one or firmer figures."""
    name, last = words.month_name(month), add_months(today.replace(day=1), -1)
    kind = deciding_volume(volumes, today)
    notices = []
    if month > last:
        notices.append(f"{name} is not over: its figures go up to {words.day(today)}.")
    elif month < last and month != select_month(volumes, today):
        notices.append(f"This report is about {name}; later months are complete too.")
    elif month < last:
        skipped = month_range(add_months(month, 1), last)
        held = [
            f"{words.month_name(each)} has only "
            f"{words.count(volumes.get(each, {}).get(kind or 'orders', 0))}"
            f" {VOLUME_NAMES[kind or 'orders']}"
            for each in skipped[-3:]
        ]
        earlier = f" (and {len(skipped) - 3} months before that no more)" if skipped[3:] else ""
        notices.append(
            f"This report is about {name}: {words.listed(held)}{earlier}; "
            f"a comparison needs at least {ENOUGH}."
        )
    if max(volumes.get(month, {}).values(), default=0) < ENOUGH:
        notices.append(
            f"{name} has fewer than {ENOUGH} orders and fewer than {ENOUGH} survey answers: "
            "expect wide intervals."
        )
    return notices


def _volume_sentences(kpis: list[Kpi], month: date, currency: str) -> list[str]:
    """How much there was of everything; no claim about chance."""
    known = {kpi.kpi_id: kpi for kpi in kpis if month in kpi.readings}
    since = f" on {words.month_name(add_months(month, -1))}"
    sentences = []
    for kpi_id, opening, noun in (
        ("orders", "Customers placed", " orders"),
        ("revenue", "Revenue came to", f"{words.NBSP}{currency}"),
        ("tickets", "Customers asked for help", " times"),
        ("survey_responses", "Surveys brought", " answers"),
    ):
        if kpi_id not in known:
            continue
        change = known[kpi_id].change(month)
        value = known[kpi_id].readings[month].value
        amount = words.compact(value) if kpi_id == "revenue" else words.count(value)
        compared = ""
        if change and change.ratio:
            # The month it is compared with is named once.
            compared, since = f", {words.up_or_down(change.ratio)}{since}", ""
        sentences.append(f"{opening} {amount}{noun}{compared}.")
    return sentences


def _verdict(kpi: Kpi, difference: float) -> str:
    way = SIGN[kpi.better] * difference
    return "better" if way > 0 else "worse" if way < 0 else "neutral"


def _decimals(kpi: Kpi, month: date) -> int:
    """Of the percentages of a KPI, the same for this month and the last."""
    shown = [kpi.readings[each] for each in (month, add_months(month, -1)) if each in kpi.readings]
    return words.share_decimals(*(reading.value for reading in shown)) if shown else 1


def _two_months(kpi: Kpi, month: date, currency: str) -> dict[str, str]:
    decimals = _decimals(kpi, month)
    return {
        name: words.figure(kpi.readings[each].value, kpi.unit, currency, decimals)
        if each in kpi.readings
        else "–"
        for name, each in (("now", month), ("before", add_months(month, -1)))
    }


def _clear_sentence(kpi: Kpi, month: date, currency: str) -> dict[str, str]:
    change = kpi.change(month)
    assert change is not None and change.margin is not None
    low, by, high = (
        words.difference(
            change.difference + side * change.margin, kpi.unit, currency, _decimals(kpi, month)
        )
        for side in (-1, 0, 1)
    )
    return {
        **_two_months(kpi, month, currency),
        "name": kpi.name,
        "verb": "rose" if change.difference > 0 else "fell",
        "by": f"{by} {words.difference_unit(kpi.unit)}".strip(),
        "interval": f"{low.split(words.NBSP)[0]} to {high}",
        "verdict": _verdict(kpi, change.difference),
        "arrow": "▲" if change.difference > 0 else "▼",
    }


def _unclear_sentence(kpi: Kpi, month: date, currency: str) -> dict[str, str]:
    return {
        **_two_months(kpi, month, currency),
        "name": kpi.name,
        "detail": _change_cell(kpi, month, currency)["detail"],
    }


def _kpi_row(
    kpi: Kpi, month: date, recent: list[date], currency: str, by_identity: list[float]
) -> dict[str, Any]:
    now = kpi.readings.get(month)
    row: dict[str, Any] = {
        **_two_months(kpi, month, currency),
        "name": kpi.name,
        "owner": kpi.owner_team,
        "interval": None,
        "by_identity": None,
        "n": words.count(now.n) if now and kpi.interval else None,
        "change": _change_cell(kpi, month, currency),
        "spark": None,
    }
    if now and now.low is not None and now.high is not None:
        row["interval"] = words.bounds(now.low, now.high, kpi.unit, currency, _decimals(kpi, month))
    if now and by_identity:
        row["by_identity"] = words.spread(by_identity, kpi.unit, currency, _decimals(kpi, month))
    points = monthly_values(kpi, recent)
    if kpi.is_headline and sum(point["n"] > 0 for point in points) > 1:
        row["spark"] = Markup(
            charts.spark(
                points,
                kpi.unit,
                kpi.interval is not None,
                f"spark-{kpi.kpi_id}",
                f"{kpi.name} by month, {words.month_name(recent[0])} to "
                f"{words.month_name(month)}: {row['now']} in the last month",
            )
        )
    return row


def _change_cell(kpi: Kpi, month: date, currency: str) -> dict[str, str]:
    """The change in words, and its tone."""
    before = add_months(month, -1)
    if month not in kpi.readings:
        latest = max(kpi.readings)
        return {
            "text": f"none since {words.month_name(latest)}",
            "detail": words.figure(kpi.readings[latest].value, kpi.unit, currency) + " then",
            "tone": "none",
        }
    if before not in kpi.readings:
        return {"text": f"none in {words.month_name(before)}", "detail": "", "tone": "none"}
    if kpi.kpi_id in STILL_GROWING:
        return {
            "text": "still growing",
            "detail": "young months are not comparable",
            "tone": "none",
        }
    change = kpi.change(month)
    assert change is not None
    if kpi.unit in COUNTS or kpi.interval is None:
        text = words.percent_change(change.ratio) if change.ratio is not None else "from nothing"
        return {"text": text, "detail": "", "tone": "count"}
    if change.margin is None:
        return {"text": "too few to compare", "detail": "", "tone": "none"}
    decimals = _decimals(kpi, month)
    unit = {"share": " pp", "points": " points"}.get(kpi.unit, "")
    by = words.difference(change.difference, kpi.unit, currency, decimals)
    margin = words.figure(change.margin, kpi.unit, currency, decimals).split(words.NBSP)[0]
    if not change.is_clear:
        return {
            "text": "no clear change",
            "detail": f"{by.split(words.NBSP)[0]} ± {margin}{unit}",
            "tone": "none",
        }
    verdict = _verdict(kpi, change.difference)
    arrow = "▲" if change.difference > 0 else "▼"
    return {
        "text": f"{arrow} {by}{unit}",
        "detail": f"± {margin}" + (f", {verdict}" if verdict != "neutral" else ""),
        "tone": verdict,
    }


def _stages_chart(by_stage: dict[str, int], as_of: str) -> Markup | None:
    if not by_stage:
        return None
    told = words.listed([f"{stage} {number:,}" for stage, number in by_stage.items()])
    return Markup(
        charts.stages(by_stage, "stages", f"Customers by stage of their journey on {as_of}: {told}")
    )


def _money_chart(kpis: list[Kpi], month: date, currency: str) -> dict[str, Any] | None:
    series = {kpi.kpi_id: kpi.readings for kpi in kpis if kpi.kpi_id in ("revenue", "orders")}
    if not series:
        return None
    first = max(min(min(readings) for readings in series.values()), add_months(month, -24))
    points: list[dict[str, Any]] = [
        {
            "month": f"{each:%b %Y}",
            **{
                field: series[field][each].value if each in series.get(field, {}) else 0
                for field in ("revenue", "orders")
            },
        }
        for each in month_range(first, month)
    ]
    told = f"{words.month_name(first)} to {words.month_name(month)}"
    last = points[-1]
    title = (
        f"Revenue and orders by month, {told}: {words.compact(last['revenue'])} {currency} and "
        f"{words.count(last['orders'])} orders in the last month"
    )
    return {
        "svg": Markup(charts.money_and_orders(points, currency, "money", title)),
        "span": told,
    }


def _score_charts(kpis: list[Kpi], month: date, currency: str) -> list[dict[str, Any]]:
    found = {kpi.kpi_id: kpi for kpi in kpis if kpi.kpi_id in SCORES}
    drawn = []
    for kpi in (found[score] for score in SCORES if score in found):
        first = max(min(kpi.readings), add_months(month, -24))
        months = month_range(first, month)
        points = monthly_values(kpi, months)
        if sum(point["value"] is not None for point in points) < 2:
            continue
        now = kpi.readings.get(month)
        told = (
            f"{words.figure(now.value, kpi.unit, currency)} in {words.month_name(month)}"
            if now
            else f"none in {words.month_name(month)}"
        )
        title = f"{kpi.name} by month with 95 % interval, from {words.month_name(first)}: {told}"
        drawn.append(
            {
                "name": kpi.name,
                "thin": any(0 < point["n"] < ENOUGH for point in points),
                "svg": Markup(charts.trend(points, kpi.unit, f"trend-{kpi.kpi_id}", title)),
            }
        )
    return drawn


def _retention_chart(marts: Marts, month: date) -> Markup | None:
    cells = marts.retention(month)
    if not cells:
        return None
    cohorts = len({cell["cohort"] for cell in cells})
    title = (
        f"Share of {cohorts} cohorts that bought again, in percent, by months since the first "
        f"order: at most {100 * max(cell['value'] for cell in cells):.1f} % in one month"
    )
    return Markup(charts.retention(cells, "retention", title))


def _quality(marts: Marts) -> dict[str, Any]:
    """How new and how whole the data is."""
    as_of = marts.as_of()
    sources = []
    for row in marts.sources(as_of):
        age = (as_of.date() - row["newest_at"].date()).days if as_of and row["newest_at"] else None
        sources.append(
            {
                "name": row["source"],
                "newest": words.day(row["newest_at"]) if row["newest_at"] else "–",
                "age": age,
                "later": words.count(row["later"]) if row["later"] else None,
                "loaded": words.day(row["loaded_at"]) if row["loaded_at"] else "–",
                **{
                    field: words.count(row[field]) if row[field] is not None else "–"
                    for field in ("received", "accepted", "quarantined")
                },
            }
        )
    people = marts.completeness()
    return {
        "accuracy": _accuracy(marts),
        "sources": sources,
        "findings": [{**row, "records": words.count(row["records"])} for row in marts.findings()],
        "quarantine": [
            {**row, "documents": words.count(row["documents"])}
            for row in marts.quarantine_reasons()
        ],
        "people": {
            "customers": words.count(people["customers"]),
            "with_email": words.count(people["with_email"]),
            "share": words.figure(people["with_email"] / people["customers"], "share", "", 1),
            "completeness": words.figure(people["completeness"], "share", "", 0),
        }
        if people["customers"]
        else None,
    }


def _accuracy(marts: Marts) -> dict[str, Any] | None:
    """How often identity is right, measured on the records whose person is known."""
    measured = marts.identity_accuracy()
    if not measured:
        return None
    return {
        "records": words.count(next(iter(measured.values()))["records"]),
        "measures": [
            {
                "name": told,
                "value": words.figure(measured[name]["value"], "share", "", 1),
                "interval": words.bounds(
                    measured[name]["ci_low"], measured[name]["ci_high"], "share", "", 1
                ),
            }
            for name, told in ACCURACY.items()
            if name in measured
        ],
    }
