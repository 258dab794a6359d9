{#- How each KPI of a month that has ended differs from the month and the year before, and why.

    With shares s and rates r of the groups of a dimension, before (0) and after (1), of which the
    KPI is sum(s * r):  mix = sum((s1 - s0) * r0),  rate = sum(s1 * (r1 - r0)).
    A group that is new has the rate that the whole had. What is added up has no rates: its change is
    `volume`. Where groups overlap (customers of two sources) or the value is neither a sum nor a ratio
    of sums (a median, say), what mix and rate leave is the `remainder`; in all other cases that is 0. -#}
{% set ended = 'period_start + interval 1 month <= ' ~ reporting_date(as_of()) %}
with figures as (
    select
        figures.kpi_id,
        figures.kpi_version,
        figures.period_start,
        figures.dimension,
        figures.dimension_value,
        figures.value,
        figures.numerator,
        figures.denominator,
        kpis.is_additive,
        case kpis.unit when 'points' then 100 else 1 end as scale
    from {{ ref('kpi_values') }} as figures
    inner join {{ ref('kpis') }} as kpis on figures.kpi_id = kpis.kpi_id
    where figures.period_grain = 'month' and {{ ended }}
),

totals as (
    select * from figures where dimension = 'all' and value is not null
),

pairs as (
    select
        after.kpi_id,
        after.kpi_version,
        comparisons.comparison,
        after.period_start,
        before.period_start as compared_with,
        after.scale,
        before.value as value_before,
        after.value as value_after,
        before.numerator as total_0,
        before.denominator as weight_0,
        after.numerator as total_1,
        after.denominator as weight_1,
        after.is_additive,
        -- a median, say, is not what mix and rate can explain
        coalesce(
            abs(before.value - before.scale * before.numerator / before.denominator)
            <= 1e-9 * greatest(1, abs(before.value))
            and abs(after.value - after.scale * after.numerator / after.denominator)
            <= 1e-9 * greatest(1, abs(after.value)), false
        ) as is_ratio_of_sums
    from totals as after
    cross join (
        values ('month before', interval 1 month), ('year before', interval 1 year)
    ) as comparisons (comparison, distance)
    inner join totals as before
        on
            after.kpi_id = before.kpi_id
            and before.period_start = cast(after.period_start - comparisons.distance as date)
),

sides as (
    select
        pairs.kpi_id, pairs.comparison, pairs.period_start, figures.dimension, figures.dimension_value,
        0 as side, figures.numerator, figures.denominator
    from pairs
    inner join figures on pairs.kpi_id = figures.kpi_id and pairs.compared_with = figures.period_start
    union all
    select
        pairs.kpi_id, pairs.comparison, pairs.period_start, figures.dimension, figures.dimension_value,
        1, figures.numerator, figures.denominator
    from pairs
    inner join figures on pairs.kpi_id = figures.kpi_id and pairs.period_start = figures.period_start
),

groups as (
    select
        kpi_id,
        comparison,
        period_start,
        dimension,
        dimension_value,
        coalesce(max(numerator) filter (where side = 0), 0) as total_0,
        coalesce(max(denominator) filter (where side = 0), 0) as weight_0,
        coalesce(max(numerator) filter (where side = 1), 0) as total_1,
        coalesce(max(denominator) filter (where side = 1), 0) as weight_1
    from sides
    group by all
),

weighed as (
    select
        groups.*,
        groups.weight_0 / pairs.weight_0 as share_0,
        groups.weight_1 / pairs.weight_1 as share_1,
        case when groups.weight_0 > 0 then groups.total_0 / groups.weight_0 else pairs.total_0 / pairs.weight_0 end
            as rate_0,
        case when groups.weight_1 > 0 then groups.total_1 / groups.weight_1 else 0 end as rate_1
    from groups
    inner join pairs
        on
            groups.kpi_id = pairs.kpi_id
            and groups.comparison = pairs.comparison
            and groups.period_start = pairs.period_start
),

-- in a fixed order, for sums of floating numbers depend on it
split as (
    select
        kpi_id,
        comparison,
        period_start,
        dimension,
        sum((share_1 - share_0) * rate_0 order by dimension_value) as mix,
        sum(share_1 * (rate_1 - rate_0) order by dimension_value) as rate,
        sum(total_0 order by dimension_value) as total_0,
        sum(weight_0 order by dimension_value) as weight_0,
        sum(total_1 order by dimension_value) as total_1,
        sum(weight_1 order by dimension_value) as weight_1
    from weighed
    group by all
),

told as (
    select
        pairs.kpi_id,
        pairs.kpi_version,
        pairs.comparison,
        pairs.period_start,
        strftime(pairs.compared_with, '%Y-%m') as compared_with,
        split.dimension as split_by,
        pairs.value_before,
        pairs.value_after,
        pairs.value_after - pairs.value_before as change,
        pairs.is_additive,
        pairs.is_ratio_of_sums,
        pairs.scale * split.mix as mix,
        pairs.scale * split.rate as rate,
        greatest(
            abs(split.total_0 - pairs.total_0) / greatest(1, abs(pairs.total_0)),
            abs(split.total_1 - pairs.total_1) / greatest(1, abs(pairs.total_1)),
            abs(split.weight_0 - pairs.weight_0) / greatest(1, pairs.weight_0),
            abs(split.weight_1 - pairs.weight_1) / greatest(1, pairs.weight_1)
        ) <= 1e-9 as is_whole
    from pairs
    inner join split
        on
            pairs.kpi_id = split.kpi_id
            and pairs.comparison = split.comparison
            and pairs.period_start = split.period_start
    where split.dimension = 'all' or pairs.is_ratio_of_sums
)

select
    * exclude (is_additive, is_ratio_of_sums, is_whole, mix, rate),
    case when is_additive then change else 0 end as volume,
    case when is_ratio_of_sums then mix else 0 end as mix,
    case when not is_ratio_of_sums then 0 when is_whole then change - mix else rate end as rate,
    case
        when is_additive or (is_ratio_of_sums and is_whole) then 0
        when is_ratio_of_sums then change - mix - rate
        else change
    end as remainder
from told
