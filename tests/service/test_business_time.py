"""Business time against a count of single minutes: changes of clocks, holidays, schedules."""

from datetime import date, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.business_time import Schedule, Ticket, seconds_of, seconds_open, warehouse

# days on which clocks change somewhere, and days on which none does
DAYS = [date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1),
        date(2026, 4, 5), date(2026, 10, 4), date(2025, 12, 31), date(2026, 7, 15)]  # fmt: skip
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Etc/UTC",
         "America/St_Johns", "Pacific/Auckland"]  # fmt: skip

# many begin in the hours of a Sunday that a clock skips or shows twice
hours = st.tuples(st.one_of(st.integers(60, 240), st.integers(0, 10079)), st.integers(1, 4320)).map(
    lambda h: (h[0], min(h[0] + h[1], 10080))
)
near = st.builds(
    lambda day, hour, minute, second: datetime.combine(day, datetime.min.time())
    + timedelta(hours=hour, minutes=minute, seconds=second),
    st.sampled_from(DAYS), st.integers(-30, 40), st.integers(0, 59), st.sampled_from([0, 0, 17]),
)  # fmt: skip
holidays = st.builds(
    lambda day, after, days: (
        day + timedelta(days=after),
        day + timedelta(days=after + days),
    ),
    st.sampled_from(DAYS), st.integers(-2, 2), st.integers(0, 1),
)  # fmt: skip
schedules = st.builds(
    Schedule,
    st.sampled_from(ZONES),
    st.lists(hours, min_size=0, max_size=6, unique_by=lambda h: h[0]).map(tuple),
    st.lists(holidays, max_size=2).map(tuple),
)


def _ticket(start: datetime, steps: list[int], uses: list[int]) -> Ticket:
    """Moments minutes apart, at each of which it gets a schedule; at the last one it is read."""
    moments = [start]
    for step in steps:
        moments.append(moments[-1] + timedelta(minutes=step))
    *between, last = moments[1:]
    return Ticket(start, tuple(zip(between, uses, strict=False)), (last,))


tickets = st.builds(
    _ticket, near, st.lists(st.integers(1, 1500), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(schedules, min_size=3, max_size=3), st.lists(tickets, min_size=1, max_size=6))
def test_every_minute_counts_once(plans: list[Schedule], cases: list[Ticket]) -> None:
    with warehouse(plans, cases) as db:
        found = dict(
            db.execute(
                "select (ticket_key, moment), business_microseconds from int_service__clock"
            ).fetchall()
        )
        by_schedule = dict(
            db.execute(
                """
                select (ticket_key, schedule_key, moment), open_microseconds
                from int_service__schedule_clock
                """
            ).fetchall()
        )
    for n, case in enumerate(cases):
        key, (last,) = f"s:t{n}", case.asked
        first = found[key, case.created]
        assert found[key, last] - first == seconds_of(case, plans, last) * 1_000_000
        for s in {0, *(schedule for _, schedule in case.given)}:
            passed = by_schedule[key, f"s:{s}", last] - by_schedule[key, f"s:{s}", case.created]
            assert passed == seconds_open(plans[s], case.created, last) * 1_000_000


# The example of dbt_zendesk: created Tuesday, handed to other hours on Wednesday, answered then.
CHICAGO = Schedule("Etc/UTC", tuple((720 + 1440 * d, 1560 + 1440 * d) for d in range(7)))
SAN_FRANCISCO = Schedule("Etc/UTC", tuple((2340 + 1440 * d, 2910 + 1440 * d) for d in range(5)))


def test_both_rules_of_the_definitions() -> None:
    """All schedules 959.46, the last one 689.46 minutes, at the moments their table counts with."""
    created = datetime(2020, 9, 29, 17, 2)
    moved = datetime(2020, 9, 30, 19, 1, 15)
    replied = datetime(2020, 9, 30, 19, 1, 27, 600_000)
    hours_of = [
        Schedule(s.zone, tuple(h for h in s.hours if h[1] <= 10080))
        for s in (CHICAGO, SAN_FRANCISCO)
    ]
    with warehouse(hours_of, [Ticket(created, ((moved, 1),), (replied,))]) as db:
        ((over_all, by_last),) = db.execute(
            """
            select
                (finish.business_microseconds - start.business_microseconds) / 6e7,
                (last_finish.open_microseconds - last_start.open_microseconds) / 6e7
            from int_service__clock as start, int_service__clock as finish,
                int_service__schedule_clock as last_start,
                int_service__schedule_clock as last_finish
            where start.moment = $created and finish.moment = $replied
                and last_start.moment = $created and last_finish.moment = $replied
                and last_start.schedule_key = finish.schedule_key
                and last_finish.schedule_key = finish.schedule_key
            """,
            {"created": created, "replied": replied},
        ).fetchall()
    assert (round(over_all, 2), round(by_last, 2)) == (959.46, 689.46)


def test_an_unknown_zone_gives_no_time_rather_than_none() -> None:
    created, later = datetime(2026, 7, 15, 8), datetime(2026, 7, 15, 20)
    hours_of = [Schedule("Atlantis", ((0, 10080),)), Schedule("Etc/UTC", ())]
    cases = [Ticket(created, (), (later,)), Ticket(created, ((created, 1),), (later,))]
    with warehouse(hours_of, cases) as db:
        found = db.execute(
            """
            select ticket_key, business_microseconds from int_service__clock
            where moment = $later order by ticket_key
            """,
            {"later": later},
        ).fetchall()
    assert found == [("s:t0", None), ("s:t1", 0)]


def test_an_hour_that_the_clock_skips_is_not_open() -> None:
    """From 2:30 on a Sunday that has no 2:30: open from 3:00, which is 1:00 UTC."""
    plan = Schedule("Berlin", ((150, 600),))
    start, end = datetime(2026, 3, 29, 0, 30), datetime(2026, 3, 29, 1, 30)
    with warehouse([plan], [Ticket(start, (), (end,))]) as db:
        found = db.execute("select opens_at from int_service__open_hours where opens_at > $s",
                           {"s": datetime(2026, 3, 28)}).fetchone()  # fmt: skip
        clock = "select moment, business_microseconds from int_service__clock"
        read = dict(db.execute(clock).fetchall())
    assert found == (datetime(2026, 3, 29, 1),)
    assert read[end] - read[start] == 30 * 60 * 1_000_000
