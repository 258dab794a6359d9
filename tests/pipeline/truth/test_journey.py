"""The journey in the warehouse against the stages in which the simulated people truly were.

The company's own machine differs from ours in four ways: it knows when somebody is gone (we see
only silence, as a time-out), it counts deals as decisions (we wait for the negotiation), survey
promoters as loyal (we count reviews and referrals instead), and of two things at one moment it
takes the first (we pass through both). Where none of that touches a person, dates agree.
"""

import json

import pytest

from tests.journey.machine import macros
from tests.pipeline.truth.conftest import MISTAKEN, Simulated

# People whose every record, device and order is one customer's, who is nobody else, and with whom
# no deal was negotiated; what the systems could tell of them; and their stages in truth and here.
KNOWN = """
create or replace temp table mapped as
select distinct c.person_id, b.customer_id
from truth.clusters as c
inner join vendors using (vendor)
left join w.marts.bridge_customer_records as b
    on vendors.source = b.source
    and b.source_record_id = if(c.kind = 'device', 'visitor:', '') || c.external_id
where c.kind in ('device', 'record')
union
select sale.person_id, o.customer_id
from sale left join w.marts.fct_orders as o on sale.id = o.order_id;

create or replace temp table known as
with one_customer as (
    select person_id, any_value(customer_id) as customer_id from mapped
    group by person_id having count(distinct customer_id) = 1
),
one_person as (
    select customer_id from mapped where customer_id is not null
    group by customer_id having count(distinct person_id) = 1
)
select person_id, customer_id
from one_customer semi join people using (person_id) semi join one_person using (customer_id)
where person_id not in (select person_id from world.opportunity);

create or replace temp table told as
select c.person_id, e.at::timestamp as at, e.kind
from world.web_event as e inner join truth.clusters as c
    on c.kind = 'device' and c.external_id = e.device_id
where e.received_at < date_trunc('day', clock())  -- files hold whole days
union all
select person_id, placed_at::timestamp, 'order' from sale
union all
select person_id, delivered_at::timestamp, 'delivery' from sale
where happened(delivered_at) and not happened(canceled_at) and delivered_at > placed_at
union all
select person_id, created_at::timestamp, 'ticket' from request;

create or replace temp table at_a_counter as
select person_id, min(delivered_at)::timestamp as at from sale
where delivered_at <= placed_at group by all;

create or replace temp table true_first as
select person_id, stage, min(entered_at)::timestamp as at from truth.stages group by all;

create or replace temp table our_first as
select person_id, journey_stage as stage, min(entered_at) as at
from w.marts.fct_journey_stage_spans inner join known using (customer_id) group by all;

create or replace temp table compared as
select t.person_id, t.stage, t.at as true_at, o.at as our_at
from true_first as t
semi join known on t.person_id = known.person_id
semi join told on t.person_id = told.person_id and t.at = told.at  -- some system knows of it
left join our_first as o on t.person_id = o.person_id and t.stage = o.stage;
"""

# Reviews and referrals are loyalty for us, also of a visitor who has bought nothing yet.
SPOKEN_UP = """
    exists (
        from world.review as r
        where r.person_id = c.person_id and r.at::timestamp <= c.true_at
    ) or exists (
        from world.referral as r
        where r.person_id = c.person_id and r.at::timestamp <= c.true_at
    )"""

# Where our stages are defined otherwise: people of whom the first entry may differ, and why.
OTHERWISE = {
    "awareness": "false",
    # who first landed unseen is aware for us only later; visits to help pages are visits for us
    "consideration": f"""
        person_id not in (select person_id from compared where stage = 'awareness')
        or exists (
            from told where told.person_id = c.person_id and told.at < c.true_at
                and kind = 'help_viewed'
        )
        or {SPOKEN_UP}""",
    "decision": SPOKEN_UP,
    # bought and received at a counter: served at once; and who orders again before the first
    # delivery is loyal before it
    "service": """
        exists (from at_a_counter as a where a.person_id = c.person_id and a.at <= c.true_at)
        or (
            select count(*) from sale
            where sale.person_id = c.person_id and placed_at::timestamp < c.true_at
        ) > 1""",
    "loyalty": SPOKEN_UP,
}


@pytest.mark.parametrize("stage", OTHERWISE)
def test_stages_are_first_entered_when_they_truly_were(simulated: Simulated, stage: str) -> None:
    """To the second: some systems tell whole seconds, and the website is 0.4 seconds late."""
    simulated.connection.execute(KNOWN)
    alike = f"from compared as c where stage = '{stage}' and not ({OTHERWISE[stage]})"
    apart = "coalesce(abs(date_diff('millisecond', true_at, our_at)) > 1000, true)"
    people = simulated.ask(f"select count(*) {alike}")[0][0]
    assert people >= 40
    differ = simulated.ask(f"select person_id, true_at, our_at {alike} and {apart}")
    assert len(differ) <= MISTAKEN * people, differ


@pytest.mark.parametrize("stage", ["awareness", "consideration", "decision"])
def test_the_true_median_lies_in_our_interval(simulated: Simulated, stage: str) -> None:
    """Of first stays; later stages end with a parting that only the truth knows."""
    connection = simulated.connection
    connection.execute(KNOWN)
    curve = macros().kaplan_meier("stays", [], "days", "is_over")
    median = f"select {macros().survival_quantile(0.5, 'median')} from ({curve})"
    found = []
    for stays in (
        f"""
        select date_diff('second', entered_at, coalesce(left_at, clock())) / 86400.0 as days,
            left_at is not null as is_over
        from truth.stages semi join known using (person_id) where stage = '{stage}'
        qualify row_number() over (partition by person_id order by entered_at) = 1
        """,
        f"""
        select days_in_stage as days, not is_open as is_over
        from w.marts.fct_journey_stage_spans semi join known using (customer_id)
        where journey_stage = '{stage}' and visit_number = 1
        """,
    ):
        connection.execute(f"create or replace temp table stays as {stays}")
        found += connection.execute(median).fetchall()
    (true_median, _, _), (_, low, high) = found
    assert low <= true_median <= high


def test_every_touch_lies_in_one_span_and_every_life_is_whole(simulated: Simulated) -> None:
    touches, in_spans, lives, openings = simulated.ask(
        """
        select
            (select count(*) from w.marts.fct_interactions where customer_id is not null),
            (select sum(touches) from w.marts.fct_journey_stage_spans),
            (select count(distinct customer_id) from w.marts.fct_interactions),
            (select count(*) from w.marts.fct_journey_stage_spans where is_open)
        """
    )[0]
    assert touches == in_spans > 10_000
    assert lives == openings > 300
    assert simulated.ask(
        """
        select * from (
            select *, lag(exited_at) over life as previous_exit, lag(exit_cause) over life as cause,
                lag(next_stage) over life as expected
            from w.marts.fct_journey_stage_spans
            window life as (partition by customer_id order by span_number)
        )
        where span_number > 1 and (
            previous_exit is distinct from entered_at or cause <> entry_cause
            or expected <> journey_stage
        )
        """
    ) == []  # fmt: skip


@pytest.mark.parametrize("concept", ["review", "referral"])
def test_who_writes_or_recommends_is_known_and_does_it_once(
    simulated: Simulated, concept: str
) -> None:
    """Also who was not signed in; what the website tells of it beside is no second touch."""
    simulated.connection.execute(KNOWN)
    rows = simulated.ask(
        f"""
        select i.customer_id, k.customer_id
        from w.marts.fct_interactions as i
        inner join world.{concept} as r
            on i.concept = '{concept}' and i.record_key = 'web:' || r.{concept}_id::varchar
        inner join known as k on r.person_id = k.person_id
        """
    )
    assert len(rows) >= 10
    others = [(ours, truly) for ours, truly in rows if ours != truly]
    assert len(others) <= MISTAKEN * len(rows), others
    assert simulated.ask(
        f"""
        select count(*) filter (where kind = '{concept}') > 0,
            count(*) filter (where kind = '{concept}' and i.record_key is not null)
        from w.unified.web_events as e
        left join w.marts.fct_interactions as i
            on i.concept = 'web_event' and e.web_event_key = i.record_key
        """
    ) == [(True, 0)]


def test_each_cell_of_the_map_is_what_its_query_gives(simulated: Simulated) -> None:
    rows = simulated.ask(
        """
        select journey_stage, dimension_value, actions, actions_query, touchpoints,
            touchpoints_query, share_satisfied, answers, feels_query, median_days, times_query,
            json_array_length(kpis), kpis_query
        from w.marts.journey_map
        """
    )
    assert len(rows) % 5 == 0 and len(rows) >= 20
    cursor = simulated.connection.cursor()
    cursor.execute("use w")
    for row in rows:
        for cell, query in ((row[2], row[3]), (row[4], row[5])):
            items = [tuple(item.values()) for item in json.loads(cell)]
            assert items == cursor.execute(query).fetchall(), row[:2]
        (share, answers), *_ = cursor.execute(row[8]).fetchall()
        assert (share, answers) == (pytest.approx(row[6]) if answers else None, row[7])
        times = cursor.execute(row[10]).fetchone()
        assert row[9] == (times[0] if times else None)
        assert len(cursor.execute(row[12]).fetchall()) == row[11]
    for query, value in simulated.ask(
        "select query, value from w.marts.journey_map_kpis where value is not null"
    ):
        shown = cursor.execute(query).fetchone()
        assert shown and shown[0] == value
