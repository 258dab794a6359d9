"""Suites on the marts: what must hold between figures before anyone may see them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from expectations.checks import key, moment, no_rows, suite

if TYPE_CHECKING:
    import great_expectations as gx

A_CENT = 0.01
ROUNDING = 1e-6  # of intervals, whose formula uses rounded quantiles
# KPIs with an interval of their own: a median may not be reached yet, nor an end of its interval
_OWN = "(select kpi_id from marts.dim_kpis where interval = 'own')"


def suites(as_of: datetime | None) -> list[Any]:
    now = moment(as_of) if as_of else "(select max(as_of) from marts.customer_360)"
    return [customers(), orders(now), interactions(now), journey(), kpis(), accounts()]


def customers() -> gx.ExpectationSuite:
    return suite(
        "marts_customers",
        "marts.customer_360",
        [
            *key("customer_id", "Ids of customers"),
            no_rows(
                "one_row_per_customer_of_the_bridge",
                "customer_360 has the customers of the bridge, no more and no fewer.",
                """
                select case
                    when customers.customer_id is null
                        then bridge.customer_id || ' is in the bridge, not in customer_360'
                    else customers.customer_id || ' is in customer_360, not in the bridge'
                end as what
                from {batch} as customers
                full join (
                    select distinct customer_id from marts.bridge_customer_records
                ) as bridge on customers.customer_id = bridge.customer_id
                where customers.customer_id is null or bridge.customer_id is null
                order by what""",
                column="customer_id",
            ),
            no_rows(
                "a_record_belongs_to_one_customer",
                "Every record of the bridge belongs to one customer of customer_360.",
                """
                select printf('%s belongs to %d customers', record_key, count(*)) as what
                from marts.bridge_customer_records
                where customer_id in (select customer_id from {batch})
                group by record_key having count(*) > 1
                order by what""",
            ),
            no_rows(
                "revenue_is_that_of_the_orders",
                "The revenue of all customers is that of the valid orders they placed.",
                f"""
                with totals as (
                    select
                        coalesce((select sum(revenue_reporting) from {{batch}}), 0) as of_customers,
                        coalesce((
                            select sum(revenue_reporting) from marts.fct_orders
                            where is_valid and customer_id is not null
                        ), 0) as of_orders
                )
                select printf('customers %.2f, orders %.2f',
                    cast(of_customers as double), cast(of_orders as double)) as what
                from totals where abs(of_customers - of_orders) >= {A_CENT}
                order by what""",
                column="revenue_reporting",
            ),
        ],
    )


def orders(now: str) -> gx.ExpectationSuite:
    return suite(
        "marts_orders",
        "marts.fct_orders",
        [
            *key("order_key", "Keys of orders"),
            _known_customers("order", "order_key"),
            no_rows(
                "goods_are_those_of_the_lines",
                "The goods of an order are worth what its lines are worth.",
                f"""
                with lines as (
                    select order_key, sum(item_amount) as item_amount
                    from marts.fct_order_lines group by order_key
                )
                select printf('%s has goods for %.2f and lines for %.2f', orders.order_key,
                    cast(orders.item_amount as double), cast(lines.item_amount as double)) as what
                from {{batch}} as orders join lines on orders.order_key = lines.order_key
                where abs(orders.item_amount - lines.item_amount) >= {A_CENT}
                order by what""",
                column="item_amount",
            ),
            _not_in_the_future(
                now,
                "order_key",
                ["ordered_at", "approved_at", "shipped_at", "delivered_at", "canceled_at"],
            ),
        ],
    )


def interactions(now: str) -> gx.ExpectationSuite:
    return suite(
        "marts_interactions",
        "marts.fct_interactions",
        [
            *key("interaction_key", "Keys of interactions"),
            _known_customers("interaction", "interaction_key"),
            _not_in_the_future(now, "interaction_key", ["occurred_at"]),
        ],
    )


def journey() -> gx.ExpectationSuite:
    return suite(
        "marts_journey",
        "marts.fct_journey_stage_spans",
        [
            *key("span_key", "Keys of spans"),
            _known_customers("span", "span_key"),
            no_rows(
                "spans_end_after_they_begin",
                "No span ends before it begins.",
                """
                select printf('%s ends on %s, before it begins', span_key,
                    strftime(exited_at, '%Y-%m-%d')) as what
                from {batch} where exited_at < entered_at
                order by what""",
                column="exited_at",
            ),
            no_rows(
                "spans_do_not_overlap",
                "A customer is in one stage at a time.",
                """
                select printf('%s begins on %s, before the span before it has ended', span_key,
                    strftime(entered_at, '%Y-%m-%d')) as what
                from (
                    select
                        *,
                        row_number() over spans as position,
                        lag(coalesce(exited_at, timestamp 'infinity')) over spans as previous_end
                    from {batch}
                    window spans as (partition by customer_id order by entered_at, span_number)
                )
                where position > 1 and entered_at < previous_end
                order by what""",
                column="entered_at",
            ),
        ],
    )


def kpis() -> gx.ExpectationSuite:
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    return suite(
        "marts_kpis",
        "marts.kpi_values",
        [
            # the built-in expectation sees no duplicate where a column is empty, as for all time
            no_rows(
                "one_figure_each",
                "Every KPI has one figure per period and dimension value.",
                f"""
                select {_figure()} || printf(' has %d figures', count(*)) as what
                from {{batch}}
                group by kpi_id, period_grain, period_start, dimension, dimension_value
                having count(*) > 1
                order by what""",
                column="kpi_id",
            ),
            no_rows(
                "figures_are_known",
                "Every KPI with observations has a value, and it is a number.",
                f"""
                select {_figure()} || printf(' has %d observations and %s', n,
                    case when value is null then 'no value' else 'a value that is no number' end
                ) as what
                from {{batch}}
                where n > 0 and (not isfinite(value) or (value is null and kpi_id not in {_OWN}))
                order by what""",
                column="value",
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="value",
                min_value=0,
                max_value=1,
                row_condition=Column("unit") == "share",
                description="Shares are between 0 and 1.",
                meta={"name": "shares_are_shares"},
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="value",
                min_value=-100,
                max_value=100,
                row_condition=Column("unit") == "points",
                description="Net scores are between -100 and 100.",
                meta={"name": "net_scores_are_in_range"},
            ),
            no_rows(
                "intervals_hold_their_value",
                "Every value lies within its 95 % interval.",
                f"""
                select {_figure()} || printf(' is %.4f, its interval %s to %s', value,
                    coalesce(printf('%.4f', ci_low), 'unknown'),
                    coalesce(printf('%.4f', ci_high), 'unknown')) as what
                from {{batch}}
                where ci_low > value + {ROUNDING} * greatest(1, abs(value))
                    or ci_high < value - {ROUNDING} * greatest(1, abs(value))
                    or ((ci_low is null) <> (ci_high is null) and kpi_id not in {_OWN})
                order by what""",
                column="ci_low",
            ),
            no_rows(
                "sources_add_up",
                "Counts and amounts of the sources add up to the total of the same period.",
                f"""
                with totals as (
                    select
                        kpi_id,
                        period_grain,
                        period_start,
                        'all' as dimension,
                        'all' as dimension_value,
                        coalesce(sum(value) filter (where dimension = 'all'), 0) as total,
                        coalesce(sum(value) filter (where dimension = 'source'), 0) as of_sources
                    from {{batch}}
                    where unit in ('count', 'currency') and denominator is null
                        and dimension in ('all', 'source')
                        and kpi_id in (
                            select kpi_id from {{batch}} where dimension = 'source'
                        )
                    group by all
                )
                select {_figure()} || printf(' is %.2f, its sources add up to %.2f',
                    total, of_sources) as what
                from totals
                where abs(total - of_sources) >= {A_CENT} + 1e-12 * abs(total)
                order by what""",
                column="value",
            ),
            no_rows(
                "revenue_is_that_of_the_orders",
                "The revenue of all time is that of the valid orders, tests and staff left out.",
                f"""
                with totals as (
                    select
                        coalesce((
                            select sum(value) from {{batch}}
                            where kpi_id = 'revenue' and period_grain = 'all' and dimension = 'all'
                        ), 0) as of_kpi,
                        coalesce((
                            select cast(sum(orders.revenue_reporting) as double)
                            from marts.fct_orders as orders
                            where orders.is_valid and not exists (
                                select 1 from marts.customer_360 as customers
                                where customers.customer_id = orders.customer_id
                                    and (customers.is_test or customers.is_employee)
                            )
                        ), 0) as of_orders
                )
                select printf('KPI %.2f, orders %.2f', of_kpi, of_orders) as what
                from totals
                where abs(of_kpi - of_orders) >= {A_CENT} + 1e-12 * abs(of_orders)
                order by what""",
                column="value",
            ),
        ],
    )


def accounts() -> gx.ExpectationSuite:
    return suite(
        "marts_accounts",
        "quality.load_accounts",
        [
            no_rows(
                "accepted_and_quarantined_are_received",
                "Every document received was either accepted or quarantined.",
                """
                select printf('%s / %s (load %s) received %,d, accepted %,d, quarantined %,d',
                    source, source_table, load_id, received, accepted, quarantined) as what
                from {batch} where accepted + quarantined is distinct from received
                order by what""",
                column="received",
            ),
        ],
    )


def _known_customers(thing: str, thing_key: str) -> Any:
    return no_rows(
        "customers_are_known",
        f"Every {thing} that names a customer names one of customer_360.",
        f"""
        select facts.{thing_key} || ' names the unknown customer ' || facts.customer_id as what
        from {{batch}} as facts
        left join marts.customer_360 as customers on facts.customer_id = customers.customer_id
        where facts.customer_id is not null and customers.customer_id is null
        order by what""",
        column="customer_id",
    )


def _not_in_the_future(now: str, thing_key: str, columns: list[str]) -> Any:
    return no_rows(
        "nothing_is_in_the_future",
        "Nothing happened more than a day after the time the warehouse was built for.",
        f"""
        with latest as (
            select {thing_key}, greatest({", ".join(columns)}) as last_at from {{batch}}
        )
        select {thing_key} || ' names ' || strftime(last_at, '%Y-%m-%d') as what
        from latest where last_at > {now} + interval 1 day
        order by last_at desc, what""",
        severity="warning",
        column=columns[0],
    )


def _figure() -> str:
    """SQL: which figure a row of kpi_values is, in words."""
    return """kpi_id || case
        when period_grain = 'all' then ' of all time'
        else ' of the ' || period_grain || ' ' || coalesce(cast(period_start as varchar), '(none)')
    end || case
        when dimension = 'all' then ''
        else printf(' for %s %s', dimension, dimension_value)
    end"""
