{#- Spans that still go on count as lasting at least until now: a mean of the finished ones alone is too low. -#}
{%- set curve_keys = ['journey_stage', 'stage_number', 'dimension', 'dimension_value'] -%}
with spans as (
    select
        spans.journey_stage, spans.stage_number, segments.dimension, segments.dimension_value,
        spans.days_in_stage, spans.is_open
    from {{ ref('fct_journey_stage_spans') }} as spans
    inner join {{ ref('int_journey__segments') }} as segments on spans.customer_id = segments.customer_id
),

curves as ({{ kaplan_meier('spans', curve_keys, 'days_in_stage', 'not is_open') }}),

quartiles as (
    select
        journey_stage, dimension, dimension_value,
        {{ survival_quantile(0.25, 'lower_quartile_days') }},
        {{ survival_quantile(0.5, 'median_days') }},
        {{ survival_quantile(0.75, 'upper_quartile_days') }}
    from curves
    group by all
),

counts as (
    select
        {{ curve_keys | join(', ') }},
        count(*) as spans,
        count(*) filter (where not is_open) as finished,
        count(*) filter (where is_open) as open,
        -- whole seconds, so that the order of the rows does not matter
        sum(cast(round(86400 * days_in_stage) as bigint)) filter (where not is_open)
        / count(*) filter (where not is_open) / 86400.0 as naive_mean_days
    from spans
    group by all
),

final as (
    select counts.*, quartiles.* exclude (journey_stage, dimension, dimension_value)
    from counts
    inner join quartiles
        on
            counts.journey_stage = quartiles.journey_stage
            and counts.dimension = quartiles.dimension
            and counts.dimension_value = quartiles.dimension_value
)

select {{ contract_columns() }} from final
