"""What a report reads from the published marts, and when two readings differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import sqrt
from statistics import median
from typing import Any

import duckdb

STAGES = ("awareness", "consideration", "decision", "service", "loyalty")
ENOUGH = 30  # records that make a month worth comparing
# Which volume decides: orders where the company usually has enough of them, else answers.
VOLUMES = ("orders", "survey_responses")
COUNTS = ("count", "people")
# Won-to-date figures of a young month are lower only because it is young.
STILL_GROWING = frozenset({"lead_to_deal_conversion"})
# What a contract calls good, as the sign of a change for the better.
SIGN = {"higher": 1, "lower": -1, "neither": 0}


@dataclass(frozen=True)
class Reading:
    """A KPI in one month."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def margin(self) -> float | None:
        """Half the width of the 95 % interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Change:
    difference: float
    margin: float | None  # of the difference; None where no interval can be given
    ratio: float | None  # of the values; None from nothing

    @property
    def is_clear(self) -> bool:
        """Whether the 95 % interval of the difference excludes 0."""
        return self.margin is not None and abs(self.difference) > self.margin


@dataclass(frozen=True)
class Kpi:
    kpi_id: str
    version: int
    name: str
    unit: str
    stage: str
    owner_team: str
    level: str
    better: str
    is_headline: bool
    interval: str | None
    definition: str
    source: str
    readings: Mapping[date, Reading]

    def change(self, month: date) -> Change | None:
        now, before = self.readings.get(month), self.readings.get(add_months(month, -1))
        if now is None or before is None or self.kpi_id in STILL_GROWING:
            return None
        return compare(now, before)


def compare(now: Reading, before: Reading) -> Change:
    """Two independent months: the margins add up in squares."""
    margins = (now.margin, before.margin)
    margin = None if None in margins else sqrt(sum(each * each for each in margins if each))
    return Change(
        difference=now.value - before.value,
        margin=margin,
        ratio=now.value / before.value if before.value else None,
    )


def add_months(month: date, months: int) -> date:
    years, number = divmod(month.year * 12 + month.month - 1 + months, 12)
    return date(years, number + 1, 1)


def month_range(first: date, last: date) -> list[date]:
    months = (last.year - first.year) * 12 + last.month - first.month
    return [add_months(first, step) for step in range(months + 1)]


def complete_months(volumes: Mapping[date, Mapping[str, float]], today: date) -> list[date]:
    """Months that were over by then and have any record."""
    return sorted(month for month in volumes if month < today.replace(day=1))


def deciding_volume(volumes: Mapping[date, Mapping[str, float]], today: date) -> str | None:
    """The kind of record of which the company has enough in most months of the last year."""
    recent = complete_months(volumes, today)[-12:]
    for kind in VOLUMES:
        if recent and median(volumes[month].get(kind, 0) for month in recent) >= ENOUGH:
            return kind
    return None


def select_month(volumes: Mapping[date, Mapping[str, float]], today: date) -> date:
    """The last complete month with enough records of the deciding kind."""
    complete = complete_months(volumes, today)
    kind = deciding_volume(volumes, today)
    if kind:
        return max(month for month in complete if volumes[month].get(kind, 0) >= ENOUGH)
    return complete[-1] if complete else add_months(today.replace(day=1), -1)


class Marts:
    """The queries of a report on an open published database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        cursor = self.connection.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def as_of(self) -> datetime | None:
        return self.rows("select max(as_of) as as_of from marts.customer_360")[0]["as_of"]

    def today(self) -> date:
        """The day of `as_of` on the company's own calendar, which says which months are over."""
        day = "coalesce(max(as_of_on), cast(max(as_of) as date))"
        return self.rows(f"select {day} as today from marts.customer_360")[0]["today"]

    def volumes(self) -> dict[date, dict[str, float]]:
        """Orders and answers of every month that has any."""
        rows = self.rows(
            """
            select period_start, kpi_id, value from marts.kpi_values
            where period_grain = 'month' and dimension = 'all'
                and kpi_id in (select unnest(?)) and value > 0
            """,
            list(VOLUMES),
        )
        months: dict[date, dict[str, float]] = {}
        for row in rows:
            months.setdefault(row["period_start"], {})[row["kpi_id"]] = row["value"]
        return months

    def kpis(self, month: date) -> tuple[list[Kpi], list[str]]:
        """KPIs with their months up to this one; and the names of those nothing feeds."""
        readings: dict[str, dict[date, Reading]] = {}
        for row in self.rows(
            """
            select kpi_id, period_start, value, n, ci_low, ci_high from marts.kpi_values
            where period_grain = 'month' and dimension = 'all'
                and period_start <= ? and value is not null
            order by kpi_id, period_start
            """,
            month,
        ):
            readings.setdefault(row["kpi_id"], {})[row["period_start"]] = Reading(
                row["value"], row["n"], row["ci_low"], row["ci_high"]
            )
        fed = {row["kpi_id"] for row in self.rows("select distinct kpi_id from marts.kpi_values")}
        # Shares and means first: they say how it goes, counts say how much of it there was.
        definitions = self.rows(
            """
            select kpi_id, kpi_version as version, name, unit, stage, owner_team, level, better,
                is_headline, interval, definition, source
            from marts.dim_kpis
            order by interval is null, name, kpi_id
            """
        )
        shown = [
            Kpi(**row, readings=readings[row["kpi_id"]])
            for row in definitions
            if row["kpi_id"] in readings
        ]
        return shown, [row["name"] for row in definitions if row["kpi_id"] not in fed]

    def by_identity(self, month: date) -> dict[str, list[float]]:
        """What KPIs that count people would be in this month under each identity."""
        rows = self.rows(
            """
            select kpi_id, list(value order by identity) as figures
            from marts.identity_sensitivity
            where period = ? and value is not null
            group by kpi_id
            """,
            f"{month:%Y-%m}",
        )
        return {row["kpi_id"]: row["figures"] for row in rows}

    def identity_accuracy(self) -> dict[str, dict[str, Any]]:
        """How right the identity in use is, by measure; empty where no record is labelled."""
        rows = self.rows(
            """
            select measure, value, ci_low, ci_high, records, called_pairs, true_pairs
            from marts.identity_accuracy where method = 'default' and dimension = 'all'
            """
        )
        return {row["measure"]: row for row in rows}

    def customers_by_stage(self) -> dict[str, int]:
        rows = self.rows(
            """
            select journey_stage, count(distinct customer_id) as customers
            from marts.fct_journey_stage_spans where is_open group by journey_stage
            """
        )
        found = {row["journey_stage"]: row["customers"] for row in rows}
        return {stage: found.get(stage, 0) for stage in STAGES} if found else {}

    def retention(self, month: date) -> list[dict[str, Any]]:
        """Cohorts of the last year that are large enough, by months since the first order."""
        return self.rows(
            """
            with cells as (
                select
                    cast(dimension_value || '-01' as date) as cohort,
                    period_start, value, n
                from marts.kpi_values
                where kpi_id = 'cohort_retention' and dimension = 'cohort'
                    and period_grain = 'month' and period_start <= ?
            )
            select cohort, date_diff('month', cohort, period_start) as months, value, n
            from cells
            where n >= ? and cohort >= cast(? as date) and months between 1 and 12
            order by cohort, months
            """,
            month,
            ENOUGH,
            add_months(month, -12),
        )

    def low_score_comments(self, month: date, limit: int = 5) -> list[dict[str, Any]]:
        """The latest comments that go with an answer in the lowest third (NPS: detractors)."""
        return self.rows(
            """
            with answers as (
                select
                    responses.*,
                    (score - scale_min) / nullif(scale_max - scale_min, 0) as position
                from marts.fct_survey_responses as responses
            )
            select answers.responded_on, answers.source, answers.kind, answers.score,
                answers.scale_max, answers.comment
            from answers
            left join marts.customer_360 as customers
                on answers.customer_id = customers.customer_id
            where answers.responded_on >= ? and answers.responded_on < ?
                and trim(coalesce(answers.comment, '')) <> ''
                and not coalesce(customers.is_test or customers.is_employee, false)
                and (
                    coalesce(answers.nps_group = 'detractor', false)
                    or case when coalesce(answers.is_reversed, false)
                        then 1 - answers.position else answers.position end <= 1 / 3
                )
            order by answers.responded_at desc, answers.response_key
            limit ?
            """,
            month,
            add_months(month, 1),
            limit,
        )

    def sources(self, as_of: datetime | None) -> list[dict[str, Any]]:
        """What each source delivered, and how new it is."""
        return self.rows(
            """
            with received as (
                -- a file that feeds two concepts is two accounts, received once
                select source, source_table, load_id, max(received) as received,
                    max(extracted_at) as loaded_at
                from quality.load_accounts group by all
            ),
            set_aside as (
                select source,
                    count(distinct (source_table, load_id, origin, origin_row)) as quarantined
                from quality.quarantine group by source
            ),
            loads as (
                select source, sum(received)::bigint as received,
                    (sum(received) - coalesce(any_value(quarantined), 0))::bigint as accepted,
                    coalesce(any_value(quarantined), 0) as quarantined, max(loaded_at) as loaded_at
                from received left join set_aside using (source) group by source
            ),
            touches as (
                select source, max(occurred_at) filter (where occurred_at <= ?) as newest_at,
                    count(*) filter (where occurred_at > ?) as later
                from marts.fct_interactions group by source
            )
            select source, received, accepted, quarantined, loaded_at, newest_at,
                coalesce(later, 0) as later
            from loads full join touches using (source)
            order by source
            """,
            as_of,
            as_of,
        )

    def findings(self) -> list[dict[str, Any]]:
        return self.rows(
            """
            select source, model, explanation, records from quality.findings
            order by records desc, source, model, explanation
            """
        )

    def quarantine_reasons(self, limit: int = 5) -> list[dict[str, Any]]:
        return self.rows(
            """
            select source, model, column_name, reason, count(distinct document_hash) as documents
            from quality.quarantine
            group by all
            order by documents desc, source, model, column_name, reason
            limit ?
            """,
            limit,
        )

    def completeness(self) -> dict[str, Any]:
        """How well people are known; visitors, tests and employees are not people to write to."""
        return self.rows(
            """
            select
                count(*) as customers,
                count(*) filter (where email is not null) as with_email,
                avg(completeness) as completeness
            from marts.customer_360
            where not coalesce(is_anonymous, false)
                and not coalesce(is_test, false) and not coalesce(is_employee, false)
            """
        )[0]


def monthly_values(kpi: Kpi, months: Sequence[date]) -> list[dict[str, Any]]:
    """The readings of these months for a chart, with a gap where there is none."""
    points = []
    for month in months:
        reading = kpi.readings.get(month)
        points.append(
            {
                "month": f"{month:%b %Y}",
                "value": reading.value if reading else None,
                "low": reading.low if reading else None,
                "high": reading.high if reading else None,
                "n": reading.n if reading else 0,
            }
        )
    return points
