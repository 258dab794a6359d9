{#- Of those who enter a stage, how many have left it by a day and why; who is still there counts as waiting. -#}
{%- set curve_keys = ['journey_stage', 'stage_number', 'dimension', 'dimension_value'] -%}
with spans as (
    select
        spans.journey_stage, spans.stage_number, segments.dimension, segments.dimension_value,
        spans.days_in_stage, spans.exit_cause
    from {{ ref('fct_journey_stage_spans') }} as spans
    inner join {{ ref('int_journey__segments') }} as segments on spans.customer_id = segments.customer_id
),

curves as ({{ aalen_johansen('spans', curve_keys, 'days_in_stage', 'exit_cause') }}),

wanted as (
    select causes.*, horizons.horizon_days
    from (select distinct {{ curve_keys | join(', ') }}, exit_cause from spans where exit_cause is not null) as causes
    cross join (values (7), (30), (90), (180)) as horizons (horizon_days)
),

counts as (
    select
        {{ curve_keys | join(', ') }},
        horizons.horizon_days,
        count(*) as spans,
        count(*) filter (where days_in_stage > horizons.horizon_days) as still_there,
        -- beyond the longest wait nothing is known, unless nobody waits
        max(days_in_stage) >= horizons.horizon_days or count(*) = count(exit_cause) as is_known
    from spans
    cross join (values (7), (30), (90), (180)) as horizons (horizon_days)
    group by {{ curve_keys | join(', ') }}, horizons.horizon_days
),

exits as (
    select
        {{ curve_keys | join(', ') }},
        exit_cause,
    {% for horizon in (7, 30, 90, 180) %}
    count(*) filter (where days_in_stage <= {{ horizon }}) as exits_{{ horizon }}{{ ',' if not loop.last }}
    {% endfor %}
    from spans
    where exit_cause is not null
    group by all
),

estimated as (
    select wanted.*, curves.incidence, curves.ci_low, curves.ci_high
    from wanted
    asof left join curves
        on
            wanted.journey_stage = curves.journey_stage
            and wanted.dimension = curves.dimension
            and wanted.dimension_value = curves.dimension_value
            and wanted.exit_cause = curves.cause
            and wanted.horizon_days >= curves.t
),

final as (
    select
        estimated.* exclude (incidence, ci_low, ci_high),
        counts.spans,
        counts.still_there,
        case estimated.horizon_days
            {% for horizon in (7, 30, 90, 180) %}
            when {{ horizon }} then exits.exits_{{ horizon }}
            {% endfor %}
        end as exits,
        case when counts.is_known then coalesce(estimated.incidence, 0) end as incidence,
        case when counts.is_known then coalesce(estimated.ci_low, 0) end as ci_low,
        case
            when counts.is_known then coalesce(estimated.ci_high, {{ wilson('0', 'counts.spans', 'high') }})
        end as ci_high
    from estimated
    inner join counts
        on
            estimated.journey_stage = counts.journey_stage
            and estimated.dimension = counts.dimension
            and estimated.dimension_value = counts.dimension_value
            and estimated.horizon_days = counts.horizon_days
    inner join exits
        on
            estimated.journey_stage = exits.journey_stage
            and estimated.dimension = exits.dimension
            and estimated.dimension_value = exits.dimension_value
            and estimated.exit_cause = exits.exit_cause
)

select {{ contract_columns() }} from final
