{#- Which schedule held for a ticket from when to when: the oldest of its system until it is given another. -#}
with tickets as (
    select ticket_key, source, created_at from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

defaults as (
    select source, arg_min(schedule_key, (coalesce(created_at, timestamp '2200-01-01'), schedule_key)) as schedule_key
    from {{ ref('schedules') }}
    group by source
),

given as (
    select
        tickets.ticket_key,
        greatest(events.occurred_at, tickets.created_at) as starts_at,
        arg_max(
            events.source || ':' || events.to_value,
            (events.occurred_at, length(events.ticket_event_key), events.ticket_event_key)
        ) as schedule_key
    from {{ ref('ticket_events') }} as events
    inner join tickets on events.ticket_key = tickets.ticket_key
    where events.field = 'schedule' and events.occurred_at <= {{ as_of() }}
    group by all
),

starts as (
    select * from given
    union all
    select tickets.ticket_key, tickets.created_at, defaults.schedule_key
    from tickets
    inner join defaults on tickets.source = defaults.source
    left join given on tickets.ticket_key = given.ticket_key and tickets.created_at = given.starts_at
    where given.ticket_key is null
)

select
    ticket_key,
    schedule_key,
    starts_at,
    lead(starts_at) over (partition by ticket_key order by starts_at) as ends_at
from starts
