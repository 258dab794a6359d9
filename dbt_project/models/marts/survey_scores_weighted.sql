{#- A score three ways: as answered, weighted to all who were invited, and its bounds if nobody or everybody
    of the silent were content. Only surveys whose tool shows its invitations can be weighted. -#}
with invitations as (
    select * from {{ ref('int_survey__nonresponse') }}
),

-- weights are decimals: their sums must not depend on the order of the rows
weighed as (
    select *, cast(weight as decimal(18, 6)) as w from invitations
),

added as (
    select
        kind,
        relation,
        period_grain,
        period_start,
        count(*) as invited,
        count(*) filter (where has_answered) as n,
        {% for property in nonresponse_properties() %}
        (count(distinct {{ property }}) > 1)::bigint {{ '+' if not loop.last else 'as properties' }}
        {% endfor %},
        cast(sum(answer_value) as double) as total,
        cast(sum(answer_value * answer_value) as double) as squares,
        cast(sum(w) as double) as weights,
        cast(sum(w * answer_value) as double) as weighted_total,
        cast(sum(w * answer_value * answer_value) as double) as weighted_squares,
        cast(sum(w * w) as double) as squared_weights
    from weighed
    group by all
),

effective as (
    select *, {{ kish_n('weights', 'squared_weights') }} as effective_n from added
),

scored as (
    select
        *,
        case when kind = 'nps' then 100 else 1 end as unit_size,
        case when kind = 'nps' then -1 else 0 end as worst,
        total / n as raw,
        weighted_total / weights as weighted,
        {{ z() }} * sqrt({{ answer_variance('total', 'squares', 'n') }} / n) as raw_margin,
        {{ z() }} * sqrt({{ answer_variance('weighted_total', 'weighted_squares', 'weights') }} / effective_n)
            as weighted_margin
    from effective
    where n > 0
),

final as (
    select
        concat_ws(' ', kind, relation, period_grain, cast(period_start as varchar)) as score_key,
        kind,
        relation,
        period_grain,
        period_start,
        case when kind = 'nps' then 'points' else 'share' end as unit,
        invited,
        n,
        effective_n,
        n / effective_n as design_effect,
        properties,
        unit_size * raw as raw_score,
        unit_size * raw_margin as raw_margin,
        unit_size * weighted as weighted_score,
        unit_size * weighted_margin as weighted_margin,
        unit_size * (total + worst * (invited - n)) / invited as worst_score,
        unit_size * (total + invited - n) / invited as best_score,
        case when n >= {{ minimum_answers() }} then abs(weighted - raw) > raw_margin end as is_moved_by_weighting
    from scored
)

select {{ contract_columns() }} from final
