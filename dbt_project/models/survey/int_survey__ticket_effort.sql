{#- What a customer had to do and to wait for, ticket by ticket. A contact within 14 days of the one before is a
    repeated one, and a switch where it comes by another channel; calls that belong to no ticket are contacts. -#}
with tickets as (
    select * from {{ ref('fct_tickets') }} where customer_id is not null
),

calls as (
    select
        conversations.conversation_key,
        assignments.customer_id,
        conversations.started_at,
        conversations.kind
    from (
        select *, {{ person_reference(email='email') }} as record_key from {{ ref('conversations') }}
    ) as conversations
    inner join {{ ref('int_identity__assignments') }} as assignments
        on conversations.record_key = assignments.record_key
    where conversations.direction = 'inbound' and conversations.ticket_key is null
),

contacts as (
    select ticket_key as contact_key, ticket_key, customer_id, created_at as contacted_at, channel from tickets
    union all
    select conversation_key, null, customer_id, started_at, case kind when 'call' then 'phone' else kind end
    from calls
),

followed as (
    select
        contact_key,
        contacted_at <= lag(contacted_at) over history + interval 14 day as is_repeated,
        channel <> lag(channel) over history as has_switched
    from contacts
    window history as (partition by customer_id order by contacted_at, contact_key)
),

assignees as (
    select
        ticket_key,
        to_value,
        coalesce(from_value, lag(to_value) over (
            partition by ticket_key, field order by occurred_at, ticket_event_key
        )) as from_value
    from {{ ref('ticket_events') }}
    where field in ('assignee', 'support_group')
),

handoffs as (
    select ticket_key, count(*) as handoffs from assignees where from_value <> to_value group by ticket_key
),

statuses as (
    select ticket_key, occurred_at, ticket_event_key, to_value as status
    from {{ ref('ticket_events') }}
    where field = 'status'
    union all
    select ticket_key, created_at, '', 'new' from tickets
),

states as (
    select
        ticket_key,
        status,
        occurred_at as since,
        coalesce(
            lead(occurred_at) over (partition by ticket_key order by occurred_at, ticket_event_key), {{ as_of() }}
        ) as until
    from statuses
),

-- where no event tells, from creation to the first solution
waits as (
    select
        states.ticket_key,
        count(*) > 1 as has_events,
        sum(greatest(date_diff('second', states.since, states.until), 0)) filter (
            where states.status in ('new', 'open', 'hold')
        ) as seconds
    from states
    group by states.ticket_key
)

select
    contacts.contact_key,
    contacts.ticket_key,
    contacts.customer_id,
    contacts.contacted_at,
    greatest(coalesce(tickets.customer_messages, 0), 1) as contacts,
    coalesce(followed.is_repeated and followed.has_switched, false)::bigint as channel_switches,
    coalesce(handoffs.handoffs, 0) as handoffs,
    coalesce(followed.is_repeated, false)::bigint + coalesce(tickets.reopens, 0) as repeat_contacts,
    cast(coalesce(case
        when waits.has_events then waits.seconds
        else date_diff('second', tickets.created_at, coalesce(
            tickets.first_solved_at, case when tickets.is_open then {{ as_of() }} else tickets.created_at end
        ))
    end, 0) as bigint) / 60.0 as wait_minutes
from contacts
left join tickets on contacts.ticket_key = tickets.ticket_key
left join followed on contacts.contact_key = followed.contact_key
left join handoffs on contacts.ticket_key = handoffs.ticket_key
left join waits on contacts.ticket_key = waits.ticket_key
