{#- The KPIs of the map, as kpi_values has them; what it does not have is listed with the reason. -#}
with segments as (
    select distinct dimension, dimension_value
    from {{ ref('int_journey__segments') }}
    where dimension <> 'cohort'
    union
    select 'all', 'all'
),

months as (
    select
        cast(date_trunc('month', {{ reporting_date(as_of()) }}) - interval 1 month as date) as this_month,
        cast(date_trunc('month', {{ reporting_date(as_of()) }}) - interval 2 month as date) as last_month
),

targets as (
    select targets.*, stages.stage_number
    from {{ ref('journey_targets') }} as targets
    inner join {{ ref('journey_stages') }} as stages on targets.stage = stages.stage
),

-- one month, or all time where a KPI has no months; a KPI that may not be added up in its parts
readings as (
    select
        targets.stage,
        targets.kpi_id,
        case when kpi_values.dimension = targets.part_dimension then 'all' else kpi_values.dimension end as dimension,
        case when kpi_values.dimension = targets.part_dimension then 'all' else kpi_values.dimension_value end
            as dimension_value,
        case when kpi_values.dimension = targets.part_dimension then kpi_values.dimension_value end as part,
        kpi_values.dimension as read_dimension,
        kpi_values.period_grain,
        kpi_values.period_start,
        kpi_values.value,
        kpi_values.ci_low,
        kpi_values.ci_high,
        kpi_values.n
    from {{ ref('kpi_values') }} as kpi_values
    inner join targets on kpi_values.kpi_id = targets.kpi_id
    where
        kpi_values.period_grain in ('month', 'all')
        and kpi_values.value is not null
        and (
            targets.part_dimension is null
            or kpi_values.dimension = targets.part_dimension
        )
),

monthly as (
    select distinct kpi_id from readings where period_grain = 'month'
),

shown as (
    select readings.*, months.this_month, months.last_month
    from readings
    cross join months
    left join monthly on readings.kpi_id = monthly.kpi_id
    where
        (monthly.kpi_id is null and readings.period_grain = 'all')
        or (readings.period_grain = 'month' and readings.period_start = months.this_month)
),

joined as (
    select
        targets.stage_number,
        targets.stage as journey_stage,
        segments.dimension,
        segments.dimension_value,
        targets.position,
        targets.kpi_id,
        targets.name,
        dim_kpis.better,
        targets.target,
        shown.part,
        dim_kpis.unit,
        dim_kpis.owner_team,
        shown.period_start,
        shown.value,
        shown.ci_low,
        shown.ci_high,
        shown.n,
        before.value as previous_value,
        sqrt(
            power(shown.ci_high - shown.ci_low, 2) + power(before.ci_high - before.ci_low, 2)
        ) / 2 as margin,
        case
            when shown.value is not null then null
            when dim_kpis.kpi_id is null then 'this KPI is not defined'
            when segments.dimension <> 'all' then 'not measured for this segment'
            when monthly.kpi_id is not null then 'nothing to count in the month'
            else 'no connected source feeds it'
        end as reason,
        'select value, ci_low, ci_high from marts.kpi_values where kpi_id = ''' || targets.kpi_id
        || ''' and dimension = ''' || coalesce(shown.read_dimension, segments.dimension)
        || ''' and dimension_value = '''
        || replace(coalesce(shown.part, segments.dimension_value), '''', '''''')
        || case
            when shown.period_start is null and shown.value is not null then ''' and period_grain = ''all'''
            else ''' and period_grain = ''month'' and period_start = date ''' || months.this_month || ''''
        end as query
    from targets
    cross join segments
    cross join months
    left join {{ ref('dim_kpis') }} as dim_kpis on targets.kpi_id = dim_kpis.kpi_id
    left join monthly on targets.kpi_id = monthly.kpi_id
    left join shown
        on
            targets.stage = shown.stage
            and targets.kpi_id = shown.kpi_id
            and segments.dimension = shown.dimension
            and segments.dimension_value = shown.dimension_value
    left join readings as before
        on
            shown.stage = before.stage
            and shown.kpi_id = before.kpi_id
            and shown.dimension = before.dimension
            and shown.dimension_value = before.dimension_value
            and shown.part is not distinct from before.part
            and shown.period_grain = before.period_grain
            and before.period_grain = 'month'
            and before.period_start = months.last_month
),

final as (
    select
        *,
        case
            when margin is null then null
            when value - previous_value > margin then 'up'
            when previous_value - value > margin then 'down'
            else 'no clear change'
        end as trend,
        case
            when target is null or value is null or better = 'neither' then null
            when target >= ci_low and target <= ci_high then 'uncertain'
            when (better = 'lower' and value <= target) or (better = 'higher' and value >= target) then 'met'
            else 'missed'
        end as status
    from joined
)

select {{ contract_columns() }} from final
