{#- KPIs of buying that are no sums over rows: people counted afresh per period, rates of months, unit economics. -#}
with counted as (
    select
        kpi_id, period_grain, period_start, dimension, dimension_value,
        cast(total as double) as numerator,
        case when kpi_id in ('repeat_purchase_rate', 'cohort_retention') then cast(weight as double) end as denominator,
        cast(weight as bigint) as n
    from {{ ref('int_kpis__retention') }}
    union all
    select
        'churn_rate', 'month', month_start, 'all', 'all',
        cast(lapsed_customers as double), cast(customers_at_start as double), customers_at_start
    from {{ ref('customer_retention') }}
    where is_mature and customers_at_start > 0
    union all
    select
        'retention_rate', 'month', month_start, 'all', 'all',
        cast(kept_customers as double), cast(customers_at_start as double), customers_at_start
    from {{ ref('customer_retention') }}
    where is_mature and customers_at_start > 0
),

shares as (
    select
        kpi_id, period_grain, period_start, dimension, dimension_value,
        coalesce(numerator / denominator, numerator) as value,
        numerator, denominator, n,
        {{ wilson('numerator', 'denominator', 'low') }} as ci_low,
        {{ wilson('numerator', 'denominator', 'high') }} as ci_high
    from counted
),

accounts as (
    select
        month_start,
        case comparison when 'quarter' then '_quarter' else '' end as suffix,
        cast(start_revenue_reporting as double) as start_revenue,
        cast(end_revenue_reporting as double) as net,
        cast(start_revenue_reporting - contraction_reporting - churned_reporting as double) as gross,
        accounts
    from {{ ref('account_revenue_retention') }}
),

economics as (
    select * from {{ ref('unit_economics') }}
),

buyers as (
    select * from {{ ref('int_commerce__customers') }}
),

ratios as (
    select
        'net_revenue_retention' || suffix as kpi_id, 'month' as period_grain, month_start as period_start,
        net as numerator, start_revenue as denominator, accounts as n
    from accounts
    union all
    select 'gross_revenue_retention' || suffix, 'month', month_start, gross, start_revenue, accounts
    from accounts
    union all
    select
        'cac_paid', 'month', month_start, cast(media_reporting as double), paid_new_customers, paid_new_customers as n
    from economics
    where cac_paid is not null
    union all
    select
        'cac_fully_loaded', 'month', month_start, cast(media_reporting + further_reporting as double),
        new_customers, new_customers as n
    from economics
    where cac_fully_loaded is not null
    union all
    select 'cac_blended', 'month', month_start, cast(media_reporting as double), new_customers, new_customers as n
    from economics
    where cac_blended is not null
    union all
    select 'ltv_simple', 'month', month_start, arpa * gross_margin, churn_rate, cast(average_customers as bigint)
    from economics
    where ltv is not null
    union all
    select 'ltv_to_cac', 'month', month_start, ltv, cac_blended, new_customers
    from economics
    where ltv_to_cac is not null
    union all
    select 'cac_payback_months', 'month', month_start, cac_blended, arpa * gross_margin, new_customers
    from economics
    where cac_payback_months is not null
    union all
    select
        'margin_to_date', 'all', null, cast(sum(margin_to_date_reporting) as double),
        count(margin_to_date_reporting), count(margin_to_date_reporting)
    from buyers
    having count(margin_to_date_reporting) > 0
    union all
    select
        'clv_to_date', 'all', null, cast(sum(clv_to_date_reporting) as double),
        count(clv_to_date_reporting), count(clv_to_date_reporting)
    from buyers
    having count(clv_to_date_reporting) > 0
    union all
    select
        'baseline_clv_12_months', 'all', null, cast(sum(baseline_clv_12_months_reporting) as double),
        count(baseline_clv_12_months_reporting), count(baseline_clv_12_months_reporting)
    from buyers
    having count(baseline_clv_12_months_reporting) > 0
    union all
    select
        'clv_12_months', 'all', null, cast(sum(cast(clv_12_months_reporting as decimal(18, 4))) as double),
        count(clv_12_months_reporting), count(clv_12_months_reporting)
    from buyers
    having count(clv_12_months_reporting) > 0
),

-- first purchases and the time to the second, of those known for as long as is asked
curve as (
    select * from {{ ref('repurchase_curve') }} where cohort = 'all'
),

known as (
    select count(*) as n from buyers
),

returns as (
    select
        'returned_within_90_days' as kpi_id,
        arg_max(share_returned, days) as value,
        arg_max(ci_low, days) as ci_low,
        arg_max(ci_high, days) as ci_high
    from curve
    where days <= 90
    having (
        select {{ reporting_date(as_of()) }} - min(ordered_on) from {{ ref('int_commerce__purchases') }}
    ) >= 90
    union all
    select 'days_to_second_order', cast(min(days) as double), null, null
    from curve
    where share_returned >= 0.5
    having count(*) > 0
)

select * from shares
union all by name
select
    kpi_id, period_grain, cast(period_start as date) as period_start, 'all' as dimension, 'all' as dimension_value,
    numerator / denominator as value, numerator, cast(denominator as double) as denominator, cast(n as bigint) as n,
    cast(null as double) as ci_low, cast(null as double) as ci_high
from ratios
union all by name
select
    'days_between_orders' as kpi_id, 'all' as period_grain, cast(null as date) as period_start,
    'all' as dimension, 'all' as dimension_value,
    cast(median_gap_days as double) as value, cast(null as double) as numerator, cast(null as double) as denominator,
    gaps as n, cast(null as double) as ci_low, cast(null as double) as ci_high
from {{ ref('int_commerce__purchase_gaps') }}
where gaps > 0
union all by name
select
    kpi_id, 'all' as period_grain, cast(null as date) as period_start, 'all' as dimension, 'all' as dimension_value,
    value, cast(null as double) as numerator, cast(null as double) as denominator,
    customers.n, ci_low, ci_high
from returns
cross join known as customers
where value is not null
