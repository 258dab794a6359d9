{#- How long it takes to decide, by the month in which customers became aware. -#}
{%- set curve_keys = ['entry_month', 'dimension', 'dimension_value'] -%}
with firsts as (
    select
        customer_id,
        min(entered_at) filter (where journey_stage = 'awareness') as aware_at,
        min(entered_at) filter (where journey_stage = 'decision') as decided_at
    from {{ ref('fct_journey_stage_spans') }}
    group by customer_id
),

customers as (
    select
        cast(date_trunc('month', {{ reporting_date('firsts.aware_at') }}) as date) as entry_month,
        segments.dimension,
        segments.dimension_value,
        firsts.decided_at is not null as has_decided,
        date_diff('second', firsts.aware_at, coalesce(firsts.decided_at, {{ as_of() }})) / 86400.0 as days
    from firsts
    inner join {{ ref('int_journey__segments') }} as segments on firsts.customer_id = segments.customer_id
    where
        segments.dimension <> 'cohort'
        and coalesce(firsts.decided_at, {{ as_of() }}) >= firsts.aware_at
),

curves as ({{ kaplan_meier('customers', curve_keys, 'days', 'has_decided') }}),

medians as (
    select {{ curve_keys | join(', ') }}, {{ survival_quantile(0.5, 'median_days') }}
    from curves
    group by all
),

counts as (
    select
        {{ curve_keys | join(', ') }},
        count(*) as customers,
        count(*) filter (where has_decided) as decided,
        median(days) filter (where has_decided) as naive_median_days
    from customers
    group by all
),

final as (
    select counts.*, medians.median_days, medians.median_days_low, medians.median_days_high
    from counts
    inner join medians
        on
            counts.entry_month = medians.entry_month
            and counts.dimension = medians.dimension
            and counts.dimension_value = medians.dimension_value
)

select {{ contract_columns() }} from final
