{#- How customers rated each ticket, and what they changed their minds from and to: each rating is compared
    with the one before it in time. -#}
with ratings as (
    select
        events.ticket_key,
        {{ satisfaction_word('events.to_value') }} as rating,
        events.occurred_at,
        length(events.ticket_event_key) as place,
        events.ticket_event_key
    from {{ ref('ticket_events') }} as events
    where events.field = 'satisfaction' and events.occurred_at <= {{ as_of() }}
),

ordered as (
    select
        ticket_key,
        rating,
        occurred_at,
        lag(rating) over life as rating_before,
        row_number() over life as rating_number,
        row_number()
            over (partition by ticket_key order by occurred_at desc, place desc, ticket_event_key desc)
            as from_the_end
    from ratings
    where rating is not null
    window life as (partition by ticket_key order by occurred_at, place, ticket_event_key)
)

select
    ticket_key,
    count(*) as ratings,
    max(rating) filter (where rating_number = 1) as first_rating,
    max(rating) filter (where from_the_end = 1) as last_rating,
    max(occurred_at) filter (where from_the_end = 1) as rated_at,
    bool_or(coalesce(rating_before = 'good' and rating = 'bad', false)) as is_good_to_bad,
    bool_or(coalesce(rating_before = 'bad' and rating = 'good', false)) as is_bad_to_good
from ordered
group by ticket_key
