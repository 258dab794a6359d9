{#- When each ticket was solved for the first and for the last time, and how often it came back: from its
    changes of status where there are some, else as the system says. -#}
with tickets as (
    select * from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

status_events as (
    select
        ticket_key,
        occurred_at,
        to_value,
        coalesce(
            from_value,
            lag(to_value) over (
                partition by ticket_key order by occurred_at, length(ticket_event_key), ticket_event_key
            )
        ) as from_value
    from {{ ref('ticket_events') }}
    where field = 'status' and occurred_at <= {{ as_of() }}
),

changes as (
    select
        ticket_key,
        min(occurred_at) filter (where to_value = 'solved') as first_solved_at,
        max(occurred_at) filter (where to_value = 'solved') as solved_at,
        -- returns from solved to a state in which somebody has work again
        count(*) filter (where from_value = 'solved' and to_value in ('new', 'open', 'pending', 'hold')) as reopens,
        min(occurred_at) filter (
            where from_value = 'solved' and to_value in ('new', 'open', 'pending', 'hold')
        ) as first_reopened_at
    from status_events
    group by ticket_key
)

select
    tickets.ticket_key,
    coalesce(changes.first_solved_at, tickets.first_solved_at, tickets.solved_at) as first_solved_at,
    coalesce(changes.solved_at, tickets.solved_at) as solved_at,
    coalesce(changes.reopens, tickets.reopens, 0) as reopens,
    changes.first_reopened_at
from tickets
left join changes on tickets.ticket_key = changes.ticket_key
