{#- How what was published of a month that had ended differs from what is said of it now, and why.

    definition: the KPI's contract or SQL is another; the whole change, for the old figures can't be had
    of the new data. identity: for KPIs that count identities, the figure as it was with what the
    customers add now of whom a record has changed hands since, less the figure as it was; what
    has come in for them meanwhile goes with it. late data: the rest. Where it isn't known what a
    customer adds, both together are the remainder. -#}
with published as (
    select * from {{ ref('int_kpis__published') }}
    where dimension = 'all' and period_start + interval 1 month <= {{ reporting_date('as_of') }}
),

known_then as (
    select record_key, arg_max(customer_id, sequence) as customer_id
    from {{ ref('int_identity__registry') }}
    where sequence <= (select max(registry_sequence) from published)
    group by record_key
),

moved as (
    select distinct unnest([known_then.customer_id, assignments.customer_id]) as customer_id
    from known_then
    inner join {{ ref('int_identity__assignments') }} as assignments
        on known_then.record_key = assignments.record_key
    where known_then.customer_id <> assignments.customer_id
),

signed as (
    select kpi_id, period_start, customer_id, numerator, denominator
    from {{ ref('int_kpis__customer_figures') }}
    union all
    select kpi_id, period_start, customer_id, -numerator as numerator, -denominator as denominator
    from {{ ref('int_kpis__published_customers') }}
),

of_moved as (
    select kpi_id, period_start, sum(numerator) as numerator, sum(denominator) as denominator
    from signed
    where customer_id in (select customer_id from moved)
    group by all
),

figures as (
    select kpi_id, period_start, value, numerator, denominator
    from {{ ref('kpi_values') }}
    where
        period_grain = 'month' and dimension = 'all'
        and period_start in (select period_start from published)
),

months as (
    select distinct version, period_start from published
),

known as (
    select distinct kpi_id, kpi_version, definition_hash from published
),

compared as (
    select
        kpis.kpi_id,
        kpis.kpi_version,
        kpis.level,
        kpis.adds_up_customers,
        case kpis.unit when 'points' then 100 else 1 end as scale,
        months.period_start,
        months.version as compared_with,
        published.numerator as numerator_before,
        published.denominator as denominator_before,
        -- what is added up is 0 where there was nothing to add
        coalesce(published.value, case when kpis.is_additive then 0 end) as value_before,
        coalesce(figures.value, case when kpis.is_additive then 0 end) as value_after,
        coalesce(of_moved.numerator, 0) as numerator_moved,
        coalesce(of_moved.denominator, 0) as denominator_moved,
        known.kpi_version <> kpis.kpi_version or known.definition_hash <> kpis.definition_hash as is_redefined
    from months
    cross join known
    inner join {{ ref('kpis') }} as kpis on known.kpi_id = kpis.kpi_id
    left join published on known.kpi_id = published.kpi_id and months.period_start = published.period_start
    left join figures on known.kpi_id = figures.kpi_id and months.period_start = figures.period_start
    left join of_moved on known.kpi_id = of_moved.kpi_id and months.period_start = of_moved.period_start
    where published.value is not null or figures.value is not null
),

weighed as (
    select
        *,
        value_after - value_before as change,
        case
            when is_redefined or level = 'none' or not exists (select * from moved) then 0
            when not adds_up_customers then null
            when denominator_before is null then numerator_moved
            else coalesce(
                scale * (numerator_before + numerator_moved)
                / nullif(denominator_before + denominator_moved, 0) - value_before, 0
            )
        end as told_identity
    from compared
    where value_before is not null and value_after is not null
)

select
    kpi_id,
    kpi_version,
    'publication before' as comparison,
    period_start,
    compared_with,
    case when is_redefined or level = 'none' then 'all' else 'customer' end as split_by,
    value_before,
    value_after,
    change,
    case when is_redefined or told_identity is null then 0 else change - told_identity end as late_data,
    coalesce(told_identity, 0) as identity,
    case when is_redefined then change else 0 end as definition,
    case when told_identity is null then change else 0 end as remainder
from weighed
