{#- What buying says of each customer who has bought, tests and employees left out. -#}
with purchases as (
    select * from {{ ref('int_commerce__purchases') }}
),

gaps as (
    select * from {{ ref('int_commerce__purchase_gaps') }}
),

bought as (
    select
        customer_id,
        min(ordered_on) as first_ordered_on,
        max(ordered_on) as last_ordered_on,
        count(*) as orders,
        count(*) filter (where gap_days > 0) as gaps,
        coalesce(sum(revenue_reporting), 0) as revenue_reporting,
        coalesce(sum(refunded_goods_reporting), 0) as refunded_reporting,
        case when count(*) = count(cost_reporting) then sum(cost_reporting) end as cost_reporting
    from purchases
    group by customer_id
),

returned as (
    select
        customer_id,
        -- of all that was ever paid, whatever became of the orders
        cast(sum(refunded_reporting) as double)
        / nullif(cast(sum(total_reporting) filter (where paid_amount > 0) as double), 0) as refunded_share
    from {{ ref('fct_orders') }}
    group by customer_id
),

costs as (
    select *, coalesce(lead(valid_from) over (order by valid_from), cast('9999-12-31' as date)) as valid_to
    from {{ ref('service_costs') }}
),

served as (
    select
        tickets.customer_id,
        case
            when bool_and(costs.cost_per_ticket is not null and rates.rate is not null)
                then sum({{ in_reporting_currency('costs.cost_per_ticket', 'rates.rate') }})
        end as service_cost_reporting
    from {{ ref('fct_tickets') }} as tickets
    left join costs on tickets.created_on >= costs.valid_from and tickets.created_on < costs.valid_to
    left join {{ ref('int_finance__rates') }} as rates
        on
            costs.currency = rates.currency
            and tickets.created_on >= rates.valid_from
            and tickets.created_on < rates.valid_to
    where not tickets.is_merged
    group by tickets.customer_id
),

-- of those who first bought more than a year ago, how many have bought within the last year
overall as (
    select
        count(*) filter (where last_ordered_on > {{ reporting_date(as_of()) }} - 365)
        / nullif(count(*), 0) as retention_rate
    from bought
    where first_ordered_on <= {{ reporting_date(as_of()) }} - 365
),

has_service_costs as (
    select count(*) > 0 as is_known from {{ ref('service_costs') }}
),

rfm as (
    select * from {{ ref('fct_customer_rfm') }}
    where month_start = (select max(month_start) from {{ ref('fct_customer_rfm') }})
),

measured as (
    select
        bought.*,
        {{ reporting_date(as_of()) }} - bought.last_ordered_on as days_since_last_order,
        case
            when bought.gaps >= 2 then (bought.last_ordered_on - bought.first_ordered_on) / cast(bought.gaps as double)
            else gaps.median_gap_days
        end as expected_gap_days,
        gaps.lapsed_after_days,
        returned.refunded_share,
        case when has_service_costs.is_known then coalesce(served.service_cost_reporting, case
            when served.customer_id is null then 0
        end) end as service_cost_reporting,
        overall.retention_rate,
        date_diff('month', bought.first_ordered_on, {{ reporting_date(as_of()) }}) + 1 as months_known
    from bought
    cross join gaps
    cross join overall
    cross join has_service_costs
    left join returned on bought.customer_id = returned.customer_id
    left join served on bought.customer_id = served.customer_id
)

select
    measured.customer_id,
    measured.days_since_last_order,
    measured.expected_gap_days,
    measured.days_since_last_order / nullif(measured.expected_gap_days, 0) as gaps_since_last_order,
    measured.days_since_last_order > measured.lapsed_after_days as is_lapsed,
    measured.refunded_share,
    measured.revenue_reporting,
    measured.refunded_reporting as refunded_goods_reporting,
    measured.cost_reporting,
    measured.service_cost_reporting,
    measured.revenue_reporting - measured.refunded_reporting - measured.cost_reporting as margin_to_date_reporting,
    measured.revenue_reporting - measured.refunded_reporting - measured.cost_reporting
    - measured.service_cost_reporting as clv_to_date_reporting,
    case
        when measured.cost_reporting is null then 'no costs of some products known'
        when measured.service_cost_reporting is null then 'no costs of service known'
    end as clv_to_date_gap,
    cast(
        cast(measured.revenue_reporting as double) / measured.months_known * 12 * measured.retention_rate
        as decimal(18, 4)
    ) as baseline_clv_12_months_reporting,
    rfm.month_start as rfm_month,
    rfm.recency_score,
    rfm.frequency_score,
    rfm.monetary_score,
    rfm.rfm_group,
    rfm.fixed_rfm_group,
    forecasts.p_alive,
    forecasts.expected_purchases_12_months,
    forecasts.clv_12_months_reporting
from measured
left join rfm on measured.customer_id = rfm.customer_id
left join {{ ref('customer_lifetime_values') }} as forecasts on measured.customer_id = forecasts.customer_id
