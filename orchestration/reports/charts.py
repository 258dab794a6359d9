"""Charts as inline SVG: text stays text, colours are named once and repainted by the page."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import vl_convert

# The page's style sheet repaints these in dark mode, by their value.
INK, MUTED, RULE, ACCENT, SECOND = "#1f2a37", "#5b6b7d", "#dfe5ec", "#1d5f8a", "#b4612c"
PALETTE = {"ink": INK, "muted": MUTED, "rule": RULE, "accent": ACCENT, "second": SECOND}
WIDTH = 300  # of the plot: with its axis about a phone's width, so that text keeps its size
ENOUGH = 30

Points = Sequence[Mapping[str, Any]]


def svg(chart: Any, key: str, title: str, *, padding: int = 4) -> str:
    """The chart as an SVG element whose ids start with `key`, named by `title`."""
    chart = (
        chart.configure(background="transparent", font="Liberation Sans", padding=padding)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED,
            titleColor=MUTED,
            gridColor=RULE,
            domainColor=RULE,
            tickColor=RULE,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        )
    )
    drawn = vl_convert.vegalite_to_svg(
        chart.to_dict(), vl_version=".".join(alt.SCHEMA_VERSION[1:].split(".")[:2])
    )
    opening, _, inner = drawn.partition(">")
    box = re.search(r'viewBox="([^"]+)"', opening)
    assert box is not None
    inner = re.sub(r' (?:role|aria-[a-z]+|font-family)="[^"]*"', "", inner)
    # The drawer counts its ids through the life of the process: name them anew per chart.
    for number, drawn_id in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', inner))):
        inner = re.sub(rf'(id="|#){re.escape(drawn_id)}(?=["\)])', rf"\g<1>{key}-{number}", inner)
    # Small charts stay small: text may grow by a quarter, no more.
    widest = round(1.25 * float(box[1].split()[2]))
    return (
        f'<svg viewBox="{box[1]}" style="max-width:{widest}px" role="img" '
        f'aria-labelledby="{key}-title">'
        f'<title id="{key}-title">{escape(title)}</title>{inner}'
    )


def span(points: Points, *, at_least: float, at_most: float) -> list[float]:
    """The scale that shows every value; intervals of months with few records may leave it."""
    solid = [point for point in points if point["n"] >= ENOUGH] or points
    ends = [point["value"] for point in points]
    ends += [point[end] for point in solid for end in ("low", "high")]
    known = [end for end in ends if end is not None]
    low, high = min(known), max(known)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1
    return [max(low - room, at_least), min(high + room, at_most)]


def limits(unit: str) -> dict[str, float]:
    """Between which values a KPI can lie."""
    lowest = {"points": -100.0}.get(unit, 0.0)
    return {"at_least": lowest, "at_most": {"points": 100.0, "share": 1.0}.get(unit, float("inf"))}


def month_axis(points: Points, every: int, **settings: Any) -> alt.X:
    """Months in their order, labelled backwards from the last."""
    months = [point["month"] for point in points]
    axis = alt.Axis(values=months[::-1][::every], labelAngle=0, title=None, labelFlush=True)
    return alt.X("month:O", sort=months, axis=axis, **settings)


def band(points: Points, x: alt.X, y_axis: alt.Axis | None, domain: list[float]) -> Any:
    """A line with its 95 % interval around it."""
    scale = alt.Scale(domain=domain, zero=False, nice=False)
    base = alt.Chart(alt.Data(values=list(points))).encode(x=x)
    value = alt.Y("value:Q", axis=y_axis, scale=scale)
    lines = base.mark_line(color=ACCENT, strokeWidth=1.8, clip=True).encode(y=value)
    known = base.transform_filter("isValid(datum.value)")
    dots = known.mark_circle(color=ACCENT, size=12, opacity=1, clip=True).encode(y=value)
    last = dots.transform_filter(f"datum.month == '{points[-1]['month']}'").mark_circle(
        color=ACCENT, size=42, opacity=1
    )
    if all(point["low"] is None for point in points):
        return lines + dots + last
    area = base.mark_area(color=ACCENT, opacity=0.2, clip=True).encode(
        y=alt.Y("low:Q", axis=y_axis, scale=scale), y2="high:Q"
    )
    return area + lines + dots + last


def bars(points: Points, x: alt.X, y_axis: alt.Axis | None, field: str, color: str) -> Any:
    """Bars from zero, the last one stressed."""
    return (
        alt.Chart(alt.Data(values=list(points)))
        .mark_bar(color=color)
        .encode(
            x=x,
            y=alt.Y(f"{field}:Q", axis=y_axis, scale=alt.Scale(zero=True, nice=y_axis is not None)),
            opacity=alt.condition(
                f"datum.month == '{points[-1]['month']}'", alt.value(1), alt.value(0.45)
            ),
        )
    )


def spark(points: Points, unit: str, has_interval: bool, key: str, title: str) -> str:
    """A year and a month at a glance."""
    months = [point["month"] for point in points]
    if has_interval:
        x = alt.X("month:O", sort=months, axis=None, scale=alt.Scale(domain=months, padding=0.3))
        chart = band(points, x, None, span(points, **limits(unit)))
    else:
        x = alt.X("month:O", sort=months, axis=None, scale=alt.Scale(domain=months))
        chart = bars(points, x, None, "value", ACCENT)
    return svg(chart.properties(width=150, height=34), key, title, padding=2)


def trend(points: Points, unit: str, key: str, title: str) -> str:
    """One score by month with its interval."""
    domain = span(points, **limits(unit))
    decimals = 0 if unit == "points" or domain[1] - domain[0] > 0.05 else 1
    factor, sign = (100, " %") if unit == "share" else (1, "")
    axis = alt.Axis(
        title=None,
        tickCount=5,
        labelExpr=f"format({factor} * datum.value, ',.{decimals}f') + '{sign}'",
    )
    x = month_axis(points, 6 if len(points) > 13 else 3, scale=alt.Scale(padding=0.4))
    return svg(band(points, x, axis, domain).properties(width=WIDTH, height=170), key, title)


def money_and_orders(points: Points, currency: str, key: str, title: str) -> str:
    """Revenue above, orders below, on the same months; whichever of the two there is."""
    labels = "replace(replace(format(datum.value, '.3~s'), 'k', ' k'), 'M', ' M')"
    panels = []
    for field, name, color in (
        ("revenue", f"Revenue, {currency}", ACCENT),
        ("orders", "Orders", SECOND),
    ):
        if any(point[field] for point in points):
            axis = alt.Axis(title=None, tickCount=4, labelExpr=labels)
            heading = alt.TitleParams(
                name, anchor="start", fontSize=12, fontWeight="normal", color=MUTED, offset=4
            )
            x = month_axis(points, 6 if len(points) > 13 else 3)
            panel = bars(points, x, axis, field, color)
            panels.append(panel.properties(width=WIDTH, height=92, title=heading))
    return svg(alt.vconcat(*panels, spacing=10), key, title)


def stages(customers: Mapping[str, int], key: str, title: str) -> str:
    """Customers in each stage, from the first stage to the last."""
    rows = [
        {"stage": stage.capitalize(), "customers": number, "label": f"{number:,}"}
        for stage, number in customers.items()
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "stage:N",
            sort=[stage.capitalize() for stage in customers],
            axis=alt.Axis(
                title=None, domain=False, ticks=False, labelColor=INK, minExtent=92, offset=4
            ),
        ),
        # Room on the right for the figure of the longest bar.
        x=alt.X(
            "customers:Q",
            axis=None,
            scale=alt.Scale(domain=[0, 1.25 * max([*customers.values(), 1])]),
        ),
    )
    figures = base.mark_text(align="left", dx=5, fontSize=12, color=INK).encode(text="label:N")
    bar = base.mark_bar(color=ACCENT, size=22)
    return svg((bar + figures).properties(width=WIDTH - 40, height=230), key, title)


def waterfall(steps: Points, key: str, title: str) -> str:
    """Weights that add up, one bar each from where the one before has ended; the last is the sum.

    Steps have name, from, to and weight.
    """
    order = [step["name"] for step in steps]
    ends = [end for step in steps for end in (step["from"], step["to"])]
    room = 0.25 * (max(ends) - min(ends))
    rows = [
        dict(step) | {"label": f"{step['weight']:+.1f}", "end": max(step["from"], step["to"])}
        for step in steps
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "name:N",
            sort=order,
            # in the reader's font names are wider than the drawer thinks
            axis=alt.Axis(
                title=None,
                domain=False,
                ticks=False,
                labelColor=INK,
                labelLimit=400,
                minExtent=7.5 * max(map(len, order)),
            ),
        )
    )
    scale = alt.Scale(domain=[min(ends), max(ends) + room])
    bar = base.mark_bar(size=14).encode(
        x=alt.X("from:Q", scale=scale, axis=alt.Axis(title="match weight, log2 of the odds")),
        x2="to:Q",
        color=alt.condition("datum.weight >= 0", alt.value(ACCENT), alt.value(SECOND)),
    )
    figures = base.mark_text(align="left", dx=5, fontSize=12, color=INK).encode(
        x=alt.X("end:Q", scale=scale), text="label:N"
    )
    return svg((bar + figures).properties(width=WIDTH, height=26 * len(order)), key, title)


def retention(cells: Points, key: str, title: str) -> str:
    """Share of each cohort that bought again, by months since its first order."""
    rows = [
        {
            "cohort": f"{cell['cohort']:%b %Y}",
            "months": cell["months"],
            "share": cell["value"],
            "label": f"{100 * cell['value']:.{1 if cell['value'] < 0.0995 else 0}f}",
        }
        for cell in cells
    ]
    cohorts = list(dict.fromkeys(row["cohort"] for row in rows))
    top = max(row["share"] for row in rows) or 1
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "months:O",
            axis=alt.Axis(
                title="months since the first order",
                labelAngle=0,
                domain=False,
                ticks=False,
                orient="top",
            ),
        ),
        y=alt.Y(
            "cohort:N",
            sort=cohorts,
            axis=alt.Axis(title=None, domain=False, ticks=False, labelPadding=6),
        ),
    )
    # Strength by opacity of one colour reads the same on light and on dark.
    tiles = base.mark_rect(color=ACCENT, stroke=None, cornerRadius=2).encode(
        opacity=alt.Opacity(
            "share:Q", legend=None, scale=alt.Scale(domain=[0, top], range=[0.06, 0.6])
        )
    )
    figures = base.mark_text(fontSize=10, color=INK).encode(text="label:N")
    size = {"width": alt.Step(26), "height": alt.Step(21)}
    return svg((tiles + figures).properties(**size), key, title)
