-- The terms of every change, against kpi_values read once more: each pair of months that has figures is compared,
-- of what is added up all is volume, of ratios of rows the groups' shares and rates explain everything.
{% set close = "1e-9 * greatest(1, abs(value_after), abs(value_before))" %}
with changes as (
    select
        changes.*,
        kpis.is_additive,
        kpis.kpi_id in (select kpi_id from {{ ref('int_kpis__observations') }}) as is_of_rows,
        case kpis.unit when 'points' then 100 else 1 end as scale
    from {{ ref('kpi_changes') }} as changes
    inner join {{ ref('kpis') }} as kpis on changes.kpi_id = kpis.kpi_id
),

figures as (
    select *, strftime(period_start, '%Y-%m') as month
    from {{ ref('kpi_values') }}
    where
        period_grain = 'month' and value is not null
        and period_start + interval 1 month <= {{ reporting_date(as_of()) }}
),

totals as (
    select * from figures where dimension = 'all'
),

expected as (
    select
        after.kpi_id,
        distances.comparison,
        after.period_start,
        before.value as expected_before,
        after.value as expected_after
    from totals as after
    cross join (
        values ('month before', interval 1 month), ('year before', interval 1 year)
    ) as distances (comparison, distance)
    inner join totals as before
        on
            after.kpi_id = before.kpi_id
            and before.period_start = cast(after.period_start - distances.distance as date)
),

-- one row per group and change: share and rate before and after; nothing where a group has none
sides as (
    select
        changes.kpi_id, changes.comparison, changes.period_start, changes.split_by, figures.dimension_value,
        0 as side, figures.numerator, figures.denominator
    from changes
    inner join figures
        on
            changes.kpi_id = figures.kpi_id and changes.compared_with = figures.month
            and changes.split_by = figures.dimension
    union all
    select
        changes.kpi_id, changes.comparison, changes.period_start, changes.split_by, figures.dimension_value,
        1, figures.numerator, figures.denominator
    from changes
    inner join figures
        on
            changes.kpi_id = figures.kpi_id and changes.period_start = figures.period_start
            and changes.split_by = figures.dimension
    where changes.comparison <> 'publication before'
),

groups as (
    select
        kpi_id, comparison, period_start, split_by, dimension_value,
        coalesce(sum(numerator) filter (where side = 0), 0) as n_0,
        coalesce(sum(denominator) filter (where side = 0), 0) as w_0,
        coalesce(sum(numerator) filter (where side = 1), 0) as n_1,
        coalesce(sum(denominator) filter (where side = 1), 0) as w_1
    from sides
    group by all
),

wholes as (
    select
        kpi_id, comparison, period_start, split_by,
        sum(w_1) as whole_1, sum(n_0) / nullif(sum(w_0), 0) as rate_0
    from groups
    group by all
),

rates as (
    select
        groups.kpi_id, groups.comparison, groups.period_start, groups.split_by,
        sum(
            groups.w_1 / wholes.whole_1 * (
                coalesce(groups.n_1 / nullif(groups.w_1, 0), 0)
                - coalesce(groups.n_0 / nullif(groups.w_0, 0), wholes.rate_0)
            )
        ) as rate
    from groups
    inner join wholes
        on
            groups.kpi_id = wholes.kpi_id and groups.comparison = wholes.comparison
            and groups.period_start = wholes.period_start and groups.split_by = wholes.split_by
    group by all
)

select 'terms add up' as broken, kpi_id, comparison, period_start, split_by, change as found
from changes
where
    abs(change - (value_after - value_before)) > {{ close }}
    or abs(change - (volume + mix + rate + late_data + identity + definition + remainder)) > {{ close }}
union all
select 'volume', kpi_id, comparison, period_start, split_by, volume
from changes
where
    comparison <> 'publication before'
    and (volume <> case when is_additive then change else 0 end or (is_additive and split_by <> 'all'))
union all
select 'remainder', kpi_id, comparison, period_start, split_by, remainder
from changes
where remainder <> 0 and comparison <> 'publication before' and is_of_rows
union all
select 'rate', changes.kpi_id, changes.comparison, changes.period_start, changes.split_by, changes.rate
from changes
inner join rates
    on
        changes.kpi_id = rates.kpi_id and changes.comparison = rates.comparison
        and changes.period_start = rates.period_start and changes.split_by = rates.split_by
where
    changes.is_of_rows and not changes.is_additive
    and coalesce(abs(changes.rate - changes.scale * rates.rate) > {{ close }}, true)
union all
select 'values', expected.kpi_id, expected.comparison, expected.period_start, changes.split_by, changes.change
from expected
left join changes
    on
        expected.kpi_id = changes.kpi_id and expected.comparison = changes.comparison
        and expected.period_start = changes.period_start and changes.split_by = 'all'
where (changes.value_before, changes.value_after) is distinct from (expected.expected_before, expected.expected_after)
