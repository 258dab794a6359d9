"""What the warehouse says of buying at a simulated company, against its world and its truth.

Who is one customer is tested elsewhere: here the customers are those of the warehouse, and what
they bought is what the world says they did.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from tests.pipeline.truth.conftest import Simulated

INSIDERS = "select customer_id from w.marts.customer_360 where is_test or is_employee"
WINDOWS = {"1h": 1, "24h": 24, "72h": 72, "30d": 720}


def test_what_came_in_and_what_was_given_back(simulated: Simulated) -> None:
    """By order date and by refund date, each by the rates of those days."""
    sums = [
        ("gross_revenue all", "marts.fct_orders", "ordered_on", "total_reporting", "is_valid"),
        ("refunds by_refund_date", "marts.fct_refunds", "refunded_on", "amount_reporting", "true"),
        ("refunds by_order_date", "marts.fct_refunds", "ordered_on", "amount_reporting_at_order",
         "true"),
        ("net_revenue by_refund_date", "commerce.int_commerce__money_events", "happened_on",
         "amount", "true"),
        ("net_revenue by_order_date", "commerce.int_commerce__money_events", "ordered_on",
         "amount_at_order", "true"),
    ]  # fmt: skip
    queries = [
        f"""
        select '{kpi}' as kpi, coalesce(strftime({day}, '%Y-%m'), 'all') as period,
            sum({amount}) as amount, count(*) as n
        from w.{table} where coalesce(customer_id not in ({INSIDERS}), true) and {where}
        group by grouping sets ((strftime({day}, '%Y-%m')), ())
        """
        for kpi, table, day, amount, where in sums
    ]
    simulated.agree(
        # the warehouse rounds every amount to four places, the truth none
        f"""
        select kpi, ours.period, ours.n, abs(amount - numerator) <= ours.n * 0.00005
        from ({" union all ".join(queries)}) as ours
        left join truth.kpis as t on kpi = t.kpi_id || ' ' || t.dimension and ours.period = t.period
        """,
        """
        select kpi_id || ' ' || dimension, period, n, true
        from truth.kpis where kpi_id in ('gross_revenue', 'refunds', 'net_revenue')
        """,
    )


def test_money_adds_up_but_for_what_was_not_paid(simulated: Simulated) -> None:
    """No total differs from its parts and nothing is refunded twice: what differs is still owed."""
    simulated.agree(
        "select rule, split_part(order_key, ':', 2), difference, cause"
        " from w.quality.order_money_differences",
        """
        with paid as (
            select order_id, bool_or(kind in ('sale', 'capture')) as is_paid,
                bool_or(kind = 'authorization') as is_authorized,
                bool_or(kind = 'void') as is_voided
            from world.payment as p where happened(p.at) and status = 'success' group by order_id
        )
        select 'paid and total', id, -total, case
            when happened(canceled_at) then 'canceled before it was paid'
            when is_voided then 'authorization voided'
            when is_authorized then 'authorized, not yet captured'
            when order_id in (select order_id from world.payment as p where happened(p.at))
                then 'payment failed'
            else 'no payment known'
        end
        from sale left join paid using (order_id) where not coalesce(is_paid, false)
        """,
    )


def test_deliveries_promised(simulated: Simulated) -> None:
    simulated.agree(
        """
        select strftime(promised_on, '%Y-%m'), count(*), sum(has_missed_promise::int)
        from w.marts.fct_orders where has_missed_promise is not null group by all
        """,
        """
        select month_of(promised_at), count(*),
            sum((not (happened(delivered_at) and delivered_at <= promised_at))::int)
        from sale where happened(promised_at) and not happened(canceled_at) group by all
        """,
    )


def test_carts_once_their_window_has_ended(simulated: Simulated) -> None:
    """Tests and employees are left out where the cart says whose it is."""
    for name, hours in WINDOWS.items():
        simulated.agree(
            f"""
            select strftime(created_on, '%Y-%m'), count(*), sum(is_abandoned_{name}::int),
                {f"sum(is_recovered_{name}::int)" if name != "1h" else "null"}
            from w.marts.fct_carts
            where is_abandoned_{name} is not null
                and coalesce(customer_id not in ({INSIDERS}), true)
            group by all
            """,
            f"""
            with ended as (
                select *, completed_at - created_at as passed,
                    coalesce(passed <= interval {hours} hour, false) as bought,
                    coalesce(passed <= interval 1 hour, false) as at_once
                from world.cart where happened(created_at + interval {hours} hour)
            )
            select month_of(created_at), count(*), sum((not bought)::int),
                {"sum(bought::int) filter (where not at_once)" if name != "1h" else "null"}
            from ended
            where person_id in (from people) or record_id is null
            group by all
            """,
        )


Purchases = dict[str, list[tuple[date, float]]]


def purchases_of(simulated: Simulated) -> Purchases:
    """Days and sums of each customer's valid orders, as the world tells them."""
    bought: Purchases = defaultdict(list)
    for customer, day, amount in simulated.ask(
        """
        select f.customer_id, timezone('Europe/Berlin', s.placed_at)::date,
            f.revenue_reporting::double
        from sale as s inner join w.marts.fct_orders as f on s.id = f.order_id
        where not happened(s.canceled_at)
            and f.customer_id not in ("""
        + INSIDERS
        + """)  -- nor is it null, of who was erased
        order by s.placed_at
        """
    ):
        bought[customer].append((day, amount))
    return bought


def month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def months_of(simulated: Simulated, bought: Purchases) -> list[date]:
    """Those that have ended, from that of the first purchase on."""
    ((today,),) = simulated.ask("select timezone('Europe/Berlin', clock())::date")
    month, months = min(b[0][0] for b in bought.values()).replace(day=1), []
    while month_after(month) <= today:
        months.append(month)
        month = month_after(month)
    return months


def test_who_bought_and_who_bought_again(simulated: Simulated) -> None:
    bought = purchases_of(simulated)
    expected = set()
    for month in {day.replace(day=1) for b in bought.values() for day, _ in b}:
        orders = [
            [n for n, (day, _) in enumerate(b) if day.replace(day=1) == month]
            for b in bought.values()
        ]
        buyers = [numbers for numbers in orders if numbers]
        twice = sum(len(numbers) > 1 for numbers in buyers)
        again = sum(numbers[-1] > 0 for numbers in buyers)
        expected |= {
            ("active_customers", month, len(buyers)),
            ("repeat_customers", month, again),
            ("repeat_purchase_rate", month, twice),
        }
    found = simulated.ask(
        """
        select kpi_id, period_start, numerator::bigint from w.kpis.int_kpis__commerce
        where dimension = 'all' and period_grain = 'month'
            and kpi_id in ('active_customers', 'repeat_customers', 'repeat_purchase_rate')
        """
    )
    assert set(found) == expected and len(found) == len(expected)


def test_cohorts(simulated: Simulated) -> None:
    bought = purchases_of(simulated)
    sizes: dict[date, int] = defaultdict(int)
    active: dict[tuple[date, date], int] = defaultdict(int)
    for b in bought.values():
        cohort = b[0][0].replace(day=1)
        sizes[cohort] += 1
        for month in {day.replace(day=1) for day, _ in b}:
            active[cohort, month] += 1
    months = months_of(simulated, bought)
    expected = {
        (cohort, number, size, active[cohort, month])
        for cohort, size in sizes.items()
        for number, month in enumerate(m for m in months if m >= cohort)
    }
    found = simulated.ask(
        "select cohort_month, period_number, customers, active_customers"
        " from w.marts.cohort_retention where is_mature"
    )
    assert expected and set(found) == expected and len(found) == len(expected)


def test_customers_who_stay_and_who_lapse(simulated: Simulated) -> None:
    """Counted anew from the last purchase before either end of each month."""
    bought = purchases_of(simulated)
    gaps = sorted(
        gap.days
        for b in bought.values()
        for gap in (later[0] - day[0] for day, later in pairwise(b))
        if gap.days > 0
    )
    allowed = gaps[-(-9 * len(gaps) // 10) - 1]  # nine in ten are no longer
    rows = simulated.ask(
        """
        select month_start, customers_at_start, customers_at_end, kept_customers, new_customers,
            won_back_customers, lapsed_customers, lapsed_after_days
        from w.marts.customer_retention
        """
    )

    def customers_on(boundary: date) -> set[str]:
        last = {c: max((d for d, _ in b if d < boundary), default=None) for c, b in bought.items()}
        return {c for c, d in last.items() if d and boundary - d <= timedelta(days=allowed)}

    expected = set()
    for month in months_of(simulated, bought):
        start, end = customers_on(month), customers_on(month_after(month))
        new = {c for c in end if bought[c][0][0] >= month}
        expected.add(
            (month, len(start), len(end), len(start & end), len(new), len(end - start - new),
             len(start - end), allowed)
        )  # fmt: skip
    assert set(rows) == expected and len(rows) == len(expected)


def test_what_a_new_customer_costs(simulated: Simulated) -> None:
    """What the platforms billed, a part of it in dollars, over those who bought first then."""
    bought = purchases_of(simulated)
    firsts = Counter(b[0][0].replace(day=1) for b in bought.values())
    spent: dict[date, float] = dict(
        simulated.ask(
            "select strptime(period, '%Y-%m')::date, numerator from truth.kpis"
            " where kpi_id = 'ad_spend' and period <> 'all'"
        )
    )
    expected = {
        month: (round(spent[month]), firsts[month], round(spent[month] / firsts[month], 2))
        for month in months_of(simulated, bought)
    }
    found = simulated.ask(
        "select month_start, round(media_reporting)::int, new_customers, round(cac_blended, 2)"
        " from w.marts.unit_economics"
    )
    assert {month: tuple(figures) for month, *figures in found} == expected
    assert all(cost for _, _, cost in expected.values())
    [(campaigns, billed, labelled)] = simulated.ask(
        "select count(*), count(campaign_name), count(distinct campaign_key)"
        " from w.marts.fct_ad_spend"
    )
    assert 0 < billed == campaigns and labelled > 10
    [(priced, months)] = simulated.ask(
        "select count(*) filter (kpi_id = 'cac_blended'), count(*) filter (kpi_id = 'ltv_to_cac')"
        " from w.marts.kpi_values where dimension = 'all'"
    )
    assert priced == len(expected) and months > 0


def test_scores_of_recency_frequency_and_money(simulated: Simulated) -> None:
    bought = purchases_of(simulated)

    def scores(values: Iterable[float]) -> list[int]:
        ordered = sorted(values := list(values))
        return [1 + 5 * sum(o < v for o in ordered) // len(ordered) for v in values]

    for month in months_of(simulated, bought)[-3:]:
        end = month_after(month)
        known = {c: [p for p in b if p[0] < end] for c, b in bought.items()}
        known = {c: b for c, b in known.items() if b}
        recency = scores(-(end - max(d for d, _ in b)).days for b in known.values())
        frequency = scores(len(b) for b in known.values())
        money = scores(round(sum(amount for _, amount in b), 4) for b in known.values())
        expected: set[Any] = set(zip(known, recency, frequency, money, strict=True))
        found = simulated.ask(
            "select customer_id, recency_score, frequency_score, monetary_score"
            f" from w.marts.fct_customer_rfm where month_start = '{month}'"
        )
        assert set(found) == expected and len(found) == len(expected)
    moved = simulated.ask(
        """
        select m.month_start, sum(m.customers), any_value(r.customers)
        from w.marts.rfm_migration as m
        inner join (
            select month_start, count(*) as customers from w.marts.fct_customer_rfm group by all
        ) as r using (month_start) group by m.month_start, m.variant
        """
    )
    assert moved and all(came == there for _, came, there in moved)
