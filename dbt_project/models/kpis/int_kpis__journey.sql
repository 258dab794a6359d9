{#- KPIs of the journey: of spans by the month they were entered, of moves by the month they fell in. -#}
{%- set curve_keys = ['period_grain', 'period_start', 'journey_stage'] -%}
{%- set horizon = 90 -%}
with customers as (
    select customer_id from {{ ref('customer_360') }}
    where not is_test and not is_employee
),

spans as (
    select
        grains.period_grain,
        {{ period_start('grains.period_grain', reporting_date('spans.entered_at')) }} as period_start,
        spans.journey_stage,
        spans.days_in_stage,
        spans.is_open,
        case when spans.exit_cause in ('timeout', 'lost') then 'dropped off' else spans.exit_cause end as exit_cause
    from {{ ref('fct_journey_stage_spans') }} as spans
    inner join customers on spans.customer_id = customers.customer_id
    cross join (values ('month'), ('all')) as grains (period_grain)
    where not spans.is_detour
),

counts as (
    select
        period_grain, period_start, journey_stage,
        count(*) as spans,
        max(days_in_stage) >= {{ horizon }} or count(*) = count(exit_cause) as is_known
    from spans
    group by all
),

incidences as ({{ aalen_johansen('spans', curve_keys, 'days_in_stage', 'exit_cause') }}),

at_horizon as (
    select
        period_grain,
        period_start,
        journey_stage,
        cause,
        max_by(incidence, t) filter (where t <= {{ horizon }}) as incidence,
        max_by(ci_low, t) filter (where t <= {{ horizon }}) as ci_low,
        max_by(ci_high, t) filter (where t <= {{ horizon }}) as ci_high
    from incidences
    group by all
),

curves as ({{ kaplan_meier('spans', curve_keys, 'days_in_stage', 'not is_open') }}),

medians as (
    select period_grain, period_start, journey_stage, {{ survival_quantile(0.5, 'median_days') }}
    from curves
    group by all
),

moves as (
    select
        grains.period_grain,
        {{ period_start('grains.period_grain', 'moves.moved_on') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension when 'stage' then moves.to_stage else 'all' end as dimension_value,
        count(*) filter (where moves.cause in ('next stage', 'backward')) as stage_moves,
        count(*) filter (where moves.is_backward) as backward_moves,
        count(*) filter (where moves.is_reentry) as reentries
    from {{ ref('fct_journey_transitions') }} as moves
    inner join customers on moves.customer_id = customers.customer_id
    cross join (values ('month'), ('all')) as grains (period_grain)
    cross join (values ('all'), ('stage')) as dimensions (dimension)
    where moves.to_stage not in ('inactive', 'lost')
    group by all
),

computed as (
    select
        exits.kpi_id,
        counts.period_grain,
        counts.period_start,
        'stage' as dimension,
        counts.journey_stage as dimension_value,
        coalesce(at_horizon.incidence, 0) as value,
        null as numerator,
        null as denominator,
        counts.spans as n,
        case when at_horizon.incidence is null then 0 else at_horizon.ci_low end as ci_low,
        coalesce(at_horizon.ci_high, {{ wilson('0', 'counts.spans', 'high') }}) as ci_high
    from counts
    cross join (
        values ('journey_stage_conversion', 'next stage'), ('journey_dropoff', 'dropped off')
    ) as exits (kpi_id, cause)
    left join at_horizon
        on
            counts.period_grain = at_horizon.period_grain
            and counts.period_start is not distinct from at_horizon.period_start
            and counts.journey_stage = at_horizon.journey_stage
            and exits.cause = at_horizon.cause
    -- nothing comes after the last stage
    where counts.is_known and not (counts.journey_stage = 'loyalty' and exits.cause = 'next stage')
    union all
    select
        'journey_median_days', counts.period_grain, counts.period_start, 'stage', counts.journey_stage,
        medians.median_days, null, null, counts.spans, medians.median_days_low, medians.median_days_high
    from counts
    inner join medians
        on
            counts.period_grain = medians.period_grain
            and counts.period_start is not distinct from medians.period_start
            and counts.journey_stage = medians.journey_stage
    where medians.median_days is not null
    union all
    select
        'journey_velocity_days', 'month', entry_month, dimension, dimension_value,
        median_days, null, null, customers, median_days_low, median_days_high
    from {{ ref('journey_velocity') }}
    where median_days is not null
    union all
    select
        'journey_backward_share', period_grain, period_start, dimension, dimension_value,
        backward_moves / stage_moves as value, backward_moves as numerator, stage_moves as denominator,
        stage_moves as n,
        {{ wilson('backward_moves', 'stage_moves', 'low') }}, {{ wilson('backward_moves', 'stage_moves', 'high') }}
    from moves
    where stage_moves > 0
    union all
    select
        'journey_reentries', period_grain, period_start, dimension, dimension_value,
        reentries as value, reentries as numerator, null as denominator, reentries as n, null as ci_low, null as ci_high
    from moves
)

select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    cast(value as double) as value,
    cast(numerator as double) as numerator,
    cast(denominator as double) as denominator,
    cast(n as bigint) as n,
    cast(ci_low as double) as ci_low,
    cast(ci_high as double) as ci_high
from computed
