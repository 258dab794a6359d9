"""What the warehouse says of marketing at a simulated company, against its world and its truth."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from tests.pipeline.truth.conftest import Simulated

# What people did on the website, by the time that Segment, which knows that clocks go wrong, gives.
# Its files come every hour: what the last hours brought is left out on both sides.
RECENT = "(clock() - interval 6 hour)"
EVENTS = f"""
    select e.device_id, e.at + interval 410 milliseconds as "at", e.kind, e.session_id,
        e.order_id, c.utm_campaign, e.event_id, e.referrer
    from world.web_event as e
    inner join world.device as d on e.device_id = d.device_id and not coalesce(d.is_bot, false)
    left join world.campaign as c on e.campaign_id = c.campaign_id
    where e.received_at < {RECENT} and e.at < {RECENT}
    order by e.device_id, e.at, e.event_id
"""
Event = tuple[str, datetime, str, int, int | None, str | None, int, str | None]


def sessions_of(simulated: Simulated) -> Iterator[list[Event]]:
    """Sessions as defined: a pause of more than 30 minutes begins another one."""
    for _, events in groupby(simulated.ask(EVENTS), key=lambda e: e[0]):
        session: list[Any] = []
        for event in events:
            if session and event[1] - session[-1][1] > timedelta(minutes=30):
                yield session
                session = []
            session.append(event)
        yield session


def test_mail_by_month(simulated: Simulated) -> None:
    simulated.agree(
        """
        select strftime(sent_on, '%Y-%m'), count(*) filter (is_sent),
            count(*) filter (is_delivered), count(*) filter (is_delivered and is_opened),
            count(*) filter (is_delivered and is_clicked),
            count(*) filter (is_delivered and (is_opened or is_clicked)),
            count(*) filter (is_delivered and is_unsubscribed)
        from w.marts.fct_campaign_messages as m
        inner join w.marts.customer_360 as c using (customer_id)
        where is_sent and not c.is_test and not c.is_employee
        group by 1
        """,
        """
        select period, max(n) filter (kpi_id = 'emails_sent')::bigint,
            max(numerator) filter (kpi_id = 'email_delivery_rate')::bigint,
            max(numerator) filter (kpi_id = 'email_open_rate')::bigint,
            max(numerator) filter (kpi_id = 'email_click_rate')::bigint,
            max(denominator) filter (kpi_id = 'email_click_to_open_rate')::bigint,
            max(numerator) filter (kpi_id = 'email_unsubscribe_rate')::bigint
        from truth.kpis where dimension in ('all', 'people') and period <> 'all'
        group by 1 having count(*) filter (kpi_id = 'emails_sent') > 0
        """,
    )


def test_sessions(simulated: Simulated) -> None:
    """As many as there were, of as many events, on each device, begun when they were."""
    expected = Counter(
        (f"web:visitor:{s[0][0]}", s[0][1].replace(tzinfo=None).replace(microsecond=0), len(s))
        for s in sessions_of(simulated)
    )
    found = Counter(
        simulated.ask(
            f"""
            select visitor_key, date_trunc('second', started_at), events
            from w.marts.fct_web_sessions where started_at < {RECENT}::timestamp
            """
        )
    )
    assert len(expected) > 1000
    assert found == expected


def test_first_visits_are_new_visitors(simulated: Simulated) -> None:
    """One per customer; no more than devices and no fewer than people, whose devices are tied."""
    [(new, customers, visitors)] = simulated.ask(
        f"""
        select count(*) filter (customer_session_number = 1), count(distinct customer_id),
            count(*) filter (visitor_session_number = 1)
        from w.marts.fct_web_sessions where started_at < {RECENT}::timestamp
        """
    )
    [(people, devices)] = simulated.ask(
        f"""
        select count(distinct person_id), count(distinct device_id)
        from world.web_event semi join ({EVENTS}) using (event_id)
        """
    )
    assert new == customers
    assert visitors == devices
    assert people * 0.95 <= new <= devices


def test_channels_of_campaigns(simulated: Simulated) -> None:
    """A session that began with a campaign's link is of its channel, and of that campaign."""
    simulated.agree(
        f"""
        select utm_campaign, channel, count(*) from w.marts.fct_web_sessions
        where utm_campaign is not null and started_at < {RECENT}::timestamp group by all
        """,
        f"""
        with firsts as (
            select *,
                "at" - lag("at") over (partition by device_id order by "at", event_id) as pause
            from ({EVENTS})
        )
        select utm_campaign, any_value(c.channel), count(*)
        from firsts inner join world.campaign as c using (utm_campaign)
        where pause is null or pause > interval 30 minute
        group by all
        """,
    )
    [(sessions, found, right)] = simulated.ask(
        """
        select count(*), count(campaign_key), count(*) filter (c.name = true_campaign.name)
        from w.marts.fct_web_sessions
        left join w.unified.campaigns as c using (campaign_key)
        inner join world.campaign as true_campaign using (utm_campaign)
        """
    )
    assert found == right > 0.98 * sessions  # the system of sales tells of one once it has begun


def test_orders_are_found_in_their_sessions(simulated: Simulated) -> None:
    """A shop's order happens in one visit: that is known unless two browsers are not yet tied."""
    truly = {
        (4500000000 + order): f"web:visitor:{session[0][0]}"
        for session in sessions_of(simulated)
        for *_, order, _, _, _ in session
        if order is not None
    }
    found = simulated.ask(
        """
        select o.order_id::bigint, max_by(s.visitor_key, s.started_at)
        from w.marts.fct_orders as o
        inner join w.marts.fct_web_sessions as s on o.customer_id = s.customer_id
            and o.ordered_at between s.started_at and s.ended_at + interval 30 minute
        where o.is_valid group by all
        """
    )
    right = sum(truly.get(order) == visitor for order, visitor in found)
    wrong = sum(order in truly and truly[order] != visitor for order, visitor in found)
    assert right > 0.9 * sum(order in truly for order, _ in found)
    assert wrong < 0.01 * right
    [(in_sessions,)] = simulated.ask("select sum(orders) from w.marts.fct_web_sessions")
    assert 0.98 * right < in_sessions <= len(truly)


def test_a_funnel_counted_by_hand(simulated: Simulated) -> None:
    """Product, cart and checkout in this order within a session, its first product the entry."""
    steps = ("product_view", "add_to_cart", "checkout")
    reached: Counter[int] = Counter()
    for session in sessions_of(simulated):
        at, done = session[0][1], 0
        for step in steps:
            later = [e[1] for e in session if e[2] == step and (not done or e[1] >= at)]
            if not later:
                break
            at, done = min(later), done + 1
        reached[done] += 1
    found = dict(
        simulated.ask(
            f"""
            select least(steps_reached, 3), count(*) from w.marts.fct_funnel_entries
            where funnel = 'shop visit' and entered_at < {RECENT}::timestamp group by all
            """
        )
    )
    assert found == {n: count for n, count in reached.items() if n}


def test_leads_won_in_time(simulated: Simulated) -> None:
    """Of Salesforce, which tells which opportunity a lead has become."""
    simulated.agree(
        """
        select split_part(l.opportunity_key, ':', 2), is_won_30d, is_won_90d
        from w.marketing.int_marketing__leads as l
        semi join w.unified.opportunities as o
            on l.opportunity_key = o.opportunity_key and o.source = 'sales' and o.kind = 'lead'
        """,
        """
        with won as (
            select coalesce(d.from_opportunity_id, d.opportunity_id) as opportunity_id,
                min(seconds(s.at)) as won_at
            from deal as d inner join world.opportunity_stage as s using (opportunity_id)
            where s.stage = 'won' and happened(s.at) and not (d.kind = 'lead') group by all
        )
        select d.id,
            case when happened(d.created_at + interval 30 day)
                then coalesce(won_at <= seconds(d.created_at) + interval 30 day, false) end,
            case when happened(d.created_at + interval 90 day)
                then coalesce(won_at <= seconds(d.created_at) + interval 90 day, false) end
        from deal as d left join won using (opportunity_id)
        where d.vendor = 'salesforce' and d.kind = 'lead' and not d.is_deleted
        """,
    )


def test_credit_is_of_all_conversions(simulated: Simulated) -> None:
    """By every model each valid order of a customer once, in count and in money."""
    simulated.agree(
        """
        select distinct model, conversions, revenue::decimal(18, 2) from (
            select model, sum(credit)::bigint as conversions, sum(revenue_reporting) as revenue
            from w.marts.fct_attribution_credits
            where conversion_kind = 'order' and model <> 'participation' group by model
            union all
            select model, sum(conversions)::bigint, sum(revenue_reporting)
            from w.marts.attribution_by_channel
            where conversion_kind = 'order' and adds_up and is_shown and period_grain = 'all'
            group by model
        )
        """,
        """
        select model, conversions, revenue::decimal(18, 2) from (
            select max(numerator) filter (kpi_id = 'valid_orders')::bigint as conversions,
                max(numerator) filter (kpi_id = 'revenue') as revenue
            from truth.kpis where period = 'all' and dimension = 'all'
        ), w.reference.attribution_models where adds_up
        """,
    )


def test_first_and_last_touch_of_the_world(simulated: Simulated) -> None:
    """Paths are those that people truly went, on the browsers where they signed in or bought.

    A system can't know whose the other browsers were. What else it can't know (two people in one
    browser, records that were never tied) moves no channel by more than two of 100 orders, and
    leaves no more than five without a touch.
    """
    known = {device for (device,) in simulated.ask(
        "select distinct device_id from world.web_event where received_at < "
        f"{RECENT} and (record_id is not null or kind = 'order_completed')")}  # fmt: skip
    people = dict(simulated.ask("select session_id, any_value(person_id) from world.web_event "
                                "where person_id is not null group by 1"))  # fmt: skip
    channels = dict(simulated.ask("select utm_campaign, channel from world.campaign"))
    visits: dict[int, list[tuple[datetime, str]]] = defaultdict(list)
    for session in sessions_of(simulated):
        if session[0][0] in known:
            mail = "email" if session[0][7] == "https://mail.example.com/" else "no campaign"
            came = (session[0][1], channels.get(session[0][5], mail))
            visits[people[session[0][3]]].append(came)
    orders = simulated.ask(
        """
        select person_id, placed_at from sale semi join people using (person_id)
        where not happened(canceled_at) order by person_id, placed_at
        """
    )
    meant: dict[str, Counter[str]] = {"first": Counter(), "last": Counter()}
    before: dict[int, datetime] = {}
    for person, placed_at in orders:
        since = placed_at - timedelta(days=30)
        since = max(since, before.get(person, since))
        before[person] = placed_at
        path = sorted(v for v in visits[person] if since <= v[0] <= placed_at)
        for model, place in (("first", 0), ("last", -1)):
            meant[model][path[place][1] if path else "(none)"] += 1
    for model, expected in meant.items():
        found = dict(
            simulated.ask(
                f"""
                select channel, conversions::double from w.marts.attribution_by_channel
                where model = '{model}' and conversion_kind = 'order' and period_grain = 'all'
                """
            )
        )
        off = {c: found.get(c, 0) - expected[c] for c in (*set(channels.values()), "(none)")}
        nobody = off.pop("(none)")
        assert 0 <= nobody <= 0.05 * len(orders), (model, nobody)
        assert all(abs(n) <= 0.02 * len(orders) for n in off.values()), (model, off)


def test_internal_people_are_not_counted(simulated: Simulated) -> None:
    """Tests and employees come and are written to like others, and count in no figure of it."""
    internal = "(select customer_id from w.marts.customer_360 where is_test or is_employee)"
    [(credits,)] = simulated.ask(
        "select count(*) from w.marts.fct_attribution_credits"
        f" semi join {internal} using (customer_id)"
    )
    [(orders,)] = simulated.ask(
        f"select count(*) from w.marts.fct_orders semi join {internal} using (customer_id)"
    )
    assert orders > 0 and credits == 0
    counted = {
        "sessions": ("fct_web_sessions", "true"),
        "sent": ("fct_campaign_messages", "is_sent"),
        "leads": ("fct_opportunities", "converted_from_key is null"),
    }
    internal_ones = 0
    for measure, (table, where) in counted.items():
        [(said, all_of_them, others)] = simulated.ask(
            f"""
            select (select sum({measure}) from w.marts.fct_campaign_performance),
                count(*), count(*) filter (internal.customer_id is null)
            from w.marts.{table} left join {internal} as internal using (customer_id)
            where campaign_key is not null and {where}
            """
        )
        assert said == others > 0, measure
        internal_ones += all_of_them - others
    assert internal_ones > 0


def test_deals_find_the_leads_they_came_of(simulated: Simulated) -> None:
    """HubSpot never says it: ties are right unless somebody asked for more meanwhile."""
    [(inferred, right, true)] = simulated.ask(
        """
        select count(f.converted_from_key), count(*) filter (
            split_part(f.converted_from_key, ':', 2)::bigint - 9500000000 = d.from_opportunity_id
        ), count(d.from_opportunity_id)
        from deal as d
        inner join w.marts.fct_opportunities as f on f.opportunity_key = 'marketing:' || d.id
        where d.vendor = 'hubspot' and d.kind = 'opportunity'
        """
    )
    assert true > 10 and right >= 0.95 * max(true, inferred)
