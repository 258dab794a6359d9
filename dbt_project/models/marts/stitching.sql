{#- How many touches are tied to somebody we know, and how many of these only because of what came later. The
    interval treats the touches of one customer as one draw: they are tied or not together. -#}
with records as (
    select record_key, customer_id, record_type from {{ ref('bridge_customer_records') }}
),

-- known: has a record of its own in some system, since the oldest of them was created
people as (
    select
        records.customer_id,
        min(coalesce(person_records.created_at, person_records.updated_at)) as known_since
    from records
    inner join {{ ref('person_records') }} as person_records
        on records.record_key = person_records.person_record_key
    where records.record_type = 'person_record'
    group by records.customer_id
),

touches as (
    select
        coalesce(touches.customer_id, touches.interaction_key) as person,
        touches.channel,
        cast(date_trunc('month', touches.occurred_on) as date) as month,
        people.customer_id is not null as is_tied,
        people.customer_id is not null and coalesce(touches.occurred_at < people.known_since, false) as is_before
    from {{ ref('fct_interactions') }} as touches
    left join people on touches.customer_id = people.customer_id
),

counted as (
    select
        channel,
        month,
        person,
        count(*) as touches,
        count(*) filter (where is_tied) as tied,
        count(*) filter (where is_before) as before_known
    from touches
    group by all
),

per_person as (
    {% for channel in ['channel', "'all'"] %}
    {% for month in ['month', 'cast(null as date)'] %}
    select
        {{ channel }} as channel,
        '{{ 'month' if month == 'month' else 'all' }}' as period_grain,
        {{ month }} as period_start,
        person,
        sum(touches) as touches,
        sum(tied) as tied,
        sum(before_known) as before_known
    from counted
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

totals as (
    select
        channel,
        period_grain,
        period_start,
        sum(touches) as touches,
        count(*) as people,
        sum(tied) as tied,
        sum(before_known) as before_known,
        count(*) filter (where tied > 0) as tied_people,
        sum(touches * touches) as touches_squared,
        sum(tied * tied) as tied_squared,
        sum(tied * touches) as tied_by_touches,
        sum(before_known * before_known) as before_known_squared,
        sum(before_known * tied) as before_known_by_tied
    from per_person
    group by all
),

shares as (
    select
        *,
        tied / touches as tied_share,
        before_known / nullif(tied, 0) as before_share
    from totals
),

bounded as (
    select
        *,
        -- of a ratio of two sums over people
        {{ ratio_margin('tied', 'touches') }} as tied_share_margin,
        {{ ratio_margin('before_known', 'tied') }} as before_share_margin
    from shares
),

final as (
    select
        channel,
        period_grain,
        period_start,
        touches,
        people,
        tied,
        before_known,
        tied - before_known as since_known,
        tied_share,
        {{ ratio_bound('tied_share', 'people', 'low') }} as tied_share_low,
        {{ ratio_bound('tied_share', 'people', 'high') }} as tied_share_high,
        before_share,
        {{ ratio_bound('before_share', 'tied_people', 'low') }} as before_share_low,
        {{ ratio_bound('before_share', 'tied_people', 'high') }} as before_share_high
    from bounded
)

select {{ contract_columns() }} from final
