{#- Each period of a score against the period before and the same period of the year before. Changed is what
    the interval of the difference says, and nothing is said where either period has few answers. eNPS is told by
    month only: a month too small to be told could be worked out from a longer period. -#}
with voices as (
    select *
    from {{ ref('int_survey__voices') }}
    where case when kind = 'enps' then period_grain = 'month' else period_grain <> 'all' and not is_internal end
),

periods as (
    select
        kind,
        relation,
        period_grain,
        period_start,
        cast(sum(answer_value) as double) as total,
        cast(sum(answer_value * answer_value) as double) as squares,
        count(*) as n
    from voices
    group by all
),

scores as (
    select
        *,
        case when kind in ('nps', 'enps') then 100 else 1 end as unit_size,
        case
            when period_grain = 'year' then interval 1 year when period_grain = 'quarter' then interval 3 month
            else interval 1 month
        end as length,
        total / n as share,
        {{ answer_variance('total', 'squares', 'n') }} as variance
    from periods
    where kind <> 'enps' or n >= {{ minimum_group_size() }}
),

compared as (
    select
        scores.*,
        comparisons.compared_to,
        earlier.period_start as earlier_period_start,
        earlier.n as earlier_n,
        earlier.share as earlier_share,
        earlier.variance as earlier_variance
    from scores
    cross join (values ('period before'), ('year before')) as comparisons (compared_to)
    left join scores as earlier
        on
            scores.kind = earlier.kind
            and scores.relation = earlier.relation
            and scores.period_grain = earlier.period_grain
            and earlier.period_start = cast(
                scores.period_start - case
                    when comparisons.compared_to = 'year before' then interval 1 year else scores.length
                end as date
            )
    where not (scores.period_grain = 'year' and comparisons.compared_to = 'year before')
),

measured as (
    select
        *,
        share - earlier_share as share_difference,
        {{ difference_margin('variance', 'n', 'earlier_variance', 'earlier_n') }} as share_margin
    from compared
),

final as (
    select
        concat_ws(' ', kind, relation, period_grain, cast(period_start as varchar), compared_to) as change_key,
        kind,
        relation,
        period_grain,
        period_start,
        cast(period_start + length as date) <= {{ reporting_date(as_of()) }} as is_ended,
        case when unit_size = 100 then 'points' else 'share' end as unit,
        n,
        unit_size * share as score,
        unit_size * {{ z() }} * sqrt(variance / n) as score_margin,
        compared_to,
        earlier_period_start,
        earlier_n,
        unit_size * earlier_share as earlier_score,
        unit_size * share_difference as difference,
        unit_size * share_margin as margin,
        case when share_margin > 0 then {{ z() }} * share_difference / share_margin end as z,
        case when least(n, earlier_n) >= {{ minimum_answers() }} then abs(share_difference) > share_margin end
            as is_changed,
        unit_size * nullif({{ minimum_detectable_change('variance', 'n') }}, 0) as minimum_detectable_change
    from measured
)

select {{ contract_columns() }} from final
