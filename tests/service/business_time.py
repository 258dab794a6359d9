"""The models of business time as plain SQL, and the same counted minute by minute without."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import jinja2

from orchestration.settings import DBT_PROJECT_DIR

NOW = datetime(2026, 12, 31)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Schedule:
    """Hours of a week as (start, end) in minutes since Sunday 0:00 on the clock of the zone."""

    zone: str
    hours: tuple[tuple[int, int], ...]
    holidays: tuple[tuple[date, date], ...] = ()


@dataclass(frozen=True)
class Ticket:
    """Made at `created`; from then on it has schedules one after the other."""

    created: datetime
    given: tuple[tuple[datetime, int], ...] = ()
    asked: tuple[datetime, ...] = field(default=())


def model(name: str) -> str:
    """The SQL of a model, its references being plain names."""
    macros = (DBT_PROJECT_DIR / "macros" / "service.sql").read_text(encoding="utf-8")
    path = DBT_PROJECT_DIR / "models" / "service" / f"{name}.sql"
    template = jinja2.Environment().from_string(macros + path.read_text(encoding="utf-8"))
    return template.render(ref=lambda of: of, as_of=lambda: f"cast('{NOW}' as timestamp)")


def warehouse(
    schedules: Iterable[Schedule], tickets: Iterable[Ticket]
) -> duckdb.DuckDBPyConnection:
    """A database with the models, from the hours down to the clocks of the tickets."""
    db = duckdb.connect()
    db.execute("set TimeZone = 'UTC'")
    db.execute("create table service_time_zones (name varchar, time_zone varchar)")
    db.execute("insert into service_time_zones values ('Berlin', 'Europe/Berlin')")
    db.execute(
        "create table schedules (source varchar, schedule_key varchar, time_zone varchar,"
        " created_at timestamp)"
    )
    db.execute(
        "create table schedule_intervals (schedule_key varchar, start_minute bigint,"
        " end_minute bigint)"
    )
    db.execute(
        "create table schedule_holidays (schedule_key varchar, starts_on date, ends_on date)"
    )
    db.execute("create table tickets (source varchar, ticket_key varchar, created_at timestamp)")
    db.execute(
        "create table ticket_events (source varchar, ticket_event_key varchar, ticket_key varchar,"
        " field varchar, to_value varchar, occurred_at timestamp)"
    )
    db.execute("create table int_service__moments (ticket_key varchar, moment timestamp)")
    for n, s in enumerate(schedules):
        key, since = f"s:{n}", datetime(2020, 1, 1) + timedelta(days=n)
        db.execute("insert into schedules values ('s', ?, ?, ?)", [key, s.zone, since])
        for start, end in s.hours:
            db.execute("insert into schedule_intervals values (?, ?, ?)", [key, start, end])
        for first, last in s.holidays:
            db.execute("insert into schedule_holidays values (?, ?, ?)", [key, first, last])
    for n, t in enumerate(tickets):
        key = f"s:t{n}"
        db.execute("insert into tickets values ('s', ?, ?)", [key, t.created])
        for i, (moment, schedule) in enumerate(t.given):
            db.execute(
                "insert into ticket_events values ('s', ?, ?, 'schedule', ?, ?)",
                [f"s:{n}-{i}", key, str(schedule), moment],
            )
        for moment in {t.created, *t.asked, *(m for m, _ in t.given)}:
            db.execute("insert into int_service__moments values (?, ?)", [key, moment])
    for name in (
        "int_service__open_hours", "int_service__schedule_spans", "int_service__schedule_clock",
        "int_service__clock",
    ):  # fmt: skip
        db.execute(f"create table {name} as {model(name)}")
    return db


def is_open(schedule: Schedule, moment: datetime) -> bool:
    """Whether a clock on the wall shows an hour at which the schedule is open."""
    shown = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(schedule.zone))
    if any(first <= shown.date() <= last for first, last in schedule.holidays):
        return False
    minute = shown.isoweekday() % 7 * 1440 + shown.hour * 60 + shown.minute
    return any(start <= minute < end for start, end in schedule.hours)


def seconds_open(schedule: Schedule, start: datetime, end: datetime) -> int:
    """Open seconds between two times of UTC, one minute after the other."""
    total, minute = timedelta(), start.replace(second=0)
    while minute < end:
        if is_open(schedule, minute):
            total += min(minute + MINUTE, end) - max(minute, start)
        minute += MINUTE
    return int(total.total_seconds())


def seconds_of(ticket: Ticket, schedules: list[Schedule], until: datetime) -> int:
    """Business seconds of a ticket until a moment: each schedule for as long as it held."""
    spans = [(ticket.created, 0), *sorted(ticket.given, key=lambda g: g[0])]
    total = 0
    for (start, schedule), after in zip(spans, [*(s for s, _ in spans[1:]), until], strict=True):
        if start < until:
            total += seconds_open(schedules[schedule], start, min(after, until))
    return total
