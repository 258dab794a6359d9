"""The map of the journey on one page: five columns, filled from the published marts.

The page is a function of the published database and the arguments: the same input gives the
same bytes. 'Now' is the `as_of` of the data.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from orchestration.reports import charts, words
from orchestration.reports.monthly import render
from orchestration.reports.readings import ENOUGH, Marts

SEGMENTS = {
    "all": "All customers",
    "b2b": "Business customers",
    "b2c": "Consumers",
    "visitor": "Visitors without a name",
}
# What customers do, in words; actions not listed are shown by their name.
ACTIONS = {
    "campaign_clicked": "click in a campaign",
    "campaign_opened": "open a campaign message",
    "campaign_responded": "answer a campaign",
    "campaign_unsubscribed": "unsubscribe",
    "cart_created": "begin a cart",
    "consent_granted": "agree to be written to",
    "consent_withdrawn": "withdraw a consent",
    "conversation_call": "talk on the phone",
    "conversation_chat": "chat",
    "lead_created": "get in touch",
    "message_customer": "write to support",
    "opportunity_created": "talk about an offer",
    "order_canceled": "cancel an order",
    "order_placed": "order",
    "referral_made": "recommend the company",
    "review_written": "write a review",
    "stage_lost": "turn an offer down",
    "stage_won": "sign",
    "survey_answered": "answer a survey",
    "ticket_created": "ask for help",
    "web_add_to_cart": "put into the cart",
    "web_checkout": "go to the checkout",
    "web_other": "do something else on the website",
    "web_page_view": "look at a page",
    "web_product_view": "look at a product",
    "web_search": "search",
    "web_sign_in": "sign in",
    "web_sign_up": "sign up",
}
HORIZON = 90  # days within which going on to the next stage is told
ARROWS = {"up": "▲", "down": "▼", "no clear change": "="}


def build_journey_map(
    database: Path,
    target: Path,
    *,
    title: str,
    currency: str,
    published_version: str | None = None,
) -> Path:
    """Write the map of a published database; `title` is its heading."""
    with duckdb.connect(str(database), read_only=True) as connection:
        page = _page(Marts(connection), currency)
    render(
        "journey.html.j2",
        target,
        **page,
        title=title,
        version=published_version,
        horizon=HORIZON,
        palette=charts.PALETTE,
    )
    return target


def _page(marts: Marts, currency: str) -> dict[str, Any]:
    as_of = marts.as_of()
    rows = marts.rows(
        """
        select * from marts.journey_map
        where dimension in ('all', 'persona') order by segment_rank, stage_number
        """
    )
    onward = {
        (row["dimension_value"], row["journey_stage"]): row
        for row in marts.rows(
            """
            select dimension_value, journey_stage, incidence, ci_low, ci_high
            from marts.journey_stage_conversion
            where dimension in ('all', 'persona') and exit_cause = 'next stage'
                and horizon_days = ? and incidence is not null
            """,
            HORIZON,
        )
    }
    times = {
        (row["dimension_value"], row["journey_stage"]): row
        for row in marts.rows(
            """
            select dimension_value, journey_stage, median_days, median_days_low, median_days_high
            from marts.journey_stage_times where dimension in ('all', 'persona')
            """
        )
    }
    segments: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = row["dimension_value"]
        segment = segments.setdefault(
            name, {"key": name, "name": SEGMENTS.get(name, name), "people": 0, "stages": []}
        )
        segment["people"] = max(segment["people"], row["customers"])
        where = (name, row["journey_stage"])
        segment["stages"].append(_column(row, onward.get(where), times.get(where), currency))
    shown = [each for each in segments.values() if each["key"] == "all" or each["people"] >= ENOUGH]
    return {
        "as_of": f"{words.day(as_of)}, {as_of:%H:%M} UTC" if as_of else None,
        "segments": shown if as_of and any(each["people"] for each in shown) else [],
        "missing": sorted(
            {
                f"{kpi['name']} ({kpi['reason']})"
                for row in rows
                if row["dimension"] == "all"
                for kpi in json.loads(row["kpis"])
                if kpi["reason"]
            }
        ),
        "queries": [
            {
                "stage": row["journey_stage"].capitalize(),
                "cells": [
                    (name, row[f"{column}_query"])
                    for name, column in (
                        ("What they do", "actions"),
                        ("Touchpoints", "touchpoints"),
                        ("How they feel", "feels"),
                        ("How long they stay", "times"),
                        ("Figures", "kpis"),
                    )
                ],
            }
            for row in rows
            if row["dimension"] == "all"
        ],
    }


def _column(
    row: Mapping[str, Any],
    onward: Mapping[str, Any] | None,
    time: Mapping[str, Any] | None,
    currency: str,
) -> dict[str, Any]:
    """A stage of a segment, as it is told on the page."""
    return {
        "name": row["journey_stage"].capitalize(),
        "does": row["customer_does"],
        "now": words.count(row["customers_now"]),
        "share": None
        if row["share_now"] is None
        else words.figure(row["share_now"], "share", currency, 0),
        "actions": _bars(row["actions"], "action"),
        "touchpoints": _bars(row["touchpoints"], "touchpoint"),
        "feels": _feels(row),
        "stay": _stay(time),
        "onward": None
        if onward is None
        else {
            "share": words.figure(onward["incidence"], "share", currency, 0),
            "interval": words.bounds(onward["ci_low"], onward["ci_high"], "share", currency, 0),
        },
        "kpis": [_figure(kpi, currency) for kpi in json.loads(row["kpis"])],
        "goal": row["business_goal"],
        "teams": [team.strip() for team in (row["teams"] or "").split(",") if team.strip()],
    }


def _bars(listed: str, field: str) -> list[dict[str, Any]]:
    items = json.loads(listed)[:4]
    most = max((item["touches"] for item in items), default=1)
    return [
        {
            "label": ACTIONS.get(item[field], item[field].replace("_", " ")),
            "touches": words.count(item["touches"]),
            "customers": words.count(item["customers"]),
            "width": max(round(100 * item["touches"] / most), 2),
        }
        for item in items
    ]


def _feels(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["share_satisfied"] is None:
        return {"share": None, "reason": row["feels_reason"]}
    low, high = row["share_satisfied_low"], row["share_satisfied_high"]
    return {
        "share": words.figure(row["share_satisfied"], "share", "", 0),
        "interval": words.bounds(low, high, "share", "", 0),
        "answers": words.count(row["answers"]),
        "at": round(100 * row["share_satisfied"], 1),
        "left": round(100 * low, 1),
        "width": round(100 * (high - low), 1),
    }


def _days(days: float) -> str:
    """A time as people say it."""
    for size, name in ((1.0, "day"), (1 / 24, "hour"), (1 / 1440, "minute")):
        if days >= size:
            value = words.number(days / size, 0 if days >= 10 * size else 1)
            return f"{value}{words.NBSP}{name}{'' if value == '1.0' else 's'}"
    return "a minute"


def _between(low: float, high: float | None) -> str | None:
    """An interval of times, the unit named once where it is the same; none if it is no wider."""
    first = _days(low)
    if high is None:
        return f"at least {first}"
    last = _days(high)
    if first == last:
        return None
    number, _, unit = first.partition(words.NBSP)
    return f"{number if last.endswith(unit) else first} to {last}"


def _stay(time: Mapping[str, Any] | None) -> dict[str, str | None] | None:
    if time is None:
        return None
    if time["median_days"] is None:
        return {"median": None, "interval": None}
    low, high = time["median_days_low"], time["median_days_high"]
    interval = None if low is None else _between(low, high)
    return {"median": _days(time["median_days"]), "interval": interval}


def _figure(kpi: Mapping[str, Any], currency: str) -> dict[str, Any]:
    unit = kpi["unit"] or ""
    shown: dict[str, Any] = {
        "name": kpi["name"] + (f", {kpi['part']}" if kpi["part"] else ""),
        "value": None,
        "interval": None,
        "trend": None,
        "target": None,
        "status": kpi["status"],
        "reason": kpi["reason"],
    }
    if kpi["target"] is not None:
        shown["target"] = words.figure(kpi["target"], unit, currency)
    if kpi["value"] is None:
        return shown
    shown["value"] = words.figure(kpi["value"], unit, currency)
    if unit == "currency":
        shown["value"] = f"{words.compact(kpi['value'])}{words.NBSP}{currency}"
    if kpi["ci_low"] is not None and kpi["ci_high"] is not None:
        decimals = words.share_decimals(kpi["value"])
        shown["interval"] = words.bounds(kpi["ci_low"], kpi["ci_high"], unit, currency, decimals)
    if kpi["trend"]:
        shown["trend"] = f"{ARROWS[kpi['trend']]} {kpi['trend']}"
    elif kpi["previous_value"]:
        change = words.percent_change(kpi["value"] / kpi["previous_value"])
        shown["trend"] = f"{change} on the month before"
    return shown
