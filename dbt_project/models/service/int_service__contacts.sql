{#- Each time that a customer turned to the company for help: a ticket, or a call or chat that led to none.
    Calls to sellers and marketers are none. Those who cannot be told apart stay apart. -#}
with tickets as (
    select *, {{ person_reference(email='email') }} as record_key
    from {{ ref('tickets') }}
    where created_at <= {{ as_of() }}
),

employees as (
    select employee_key, team from {{ ref('employees') }}
),

conversations as (
    select
        conversations.*,
        {{ person_reference(key='conversations.person_record_key', email='conversations.email') }} as record_key
    from {{ ref('conversations') }} as conversations
    left join employees on conversations.agent_key = employees.employee_key
    where
        conversations.started_at <= {{ as_of() }}
        and coalesce(conversations.direction, 'inbound') = 'inbound'
        and coalesce(lower(employees.team), 'support') not in ('sales', 'marketing')
),

queues as (
    select ticket_key, sum(cast(queue_seconds as decimal(18, 3))) as queue_seconds
    from conversations
    where ticket_key is not null
    group by ticket_key
),

-- a further word of the customer before the ticket was solved
further as (
    select ticket_key, min(said_at) as further_message_at
    from {{ ref('int_service__talk') }}
    where author_role = 'customer' and number_of_author > 1
    group by ticket_key
),

contacts as (
    select
        tickets.ticket_key as contact_key,
        'ticket' as kind,
        tickets.source,
        tickets.record_key,
        tickets.channel,
        tickets.ticket_key,
        tickets.order_key,
        coalesce(lower(trim(tickets.topic)), {{ subject_words('tickets.subject') }}) as stated_topic,
        tickets.created_at as started_at,
        case when not coalesce(tickets.is_merged, false) then resolutions.first_solved_at end as resolved_at,
        resolutions.first_reopened_at as reopened_at,
        resolutions.reopens > 0 and resolutions.first_reopened_at is null as has_undated_reopening,
        further.further_message_at,
        tickets.status not in ('solved', 'closed') as is_open,
        coalesce(tickets.is_merged, false) as is_merged,
        waits.minutes + coalesce(queues.queue_seconds, 0) / 60 as wait_minutes,
        coalesce(waits.is_running, false) as is_waiting
    from tickets
    inner join {{ ref('int_service__resolutions') }} as resolutions on tickets.ticket_key = resolutions.ticket_key
    left join {{ ref('int_service__waits') }} as waits
        on tickets.ticket_key = waits.ticket_key and waits.wait = 'requester'
    left join queues on tickets.ticket_key = queues.ticket_key
    left join further on tickets.ticket_key = further.ticket_key
    union all by name
    select
        conversation_key as contact_key,
        kind,
        source,
        record_key,
        case kind when 'call' then 'phone' else kind end as channel,
        started_at,
        -- somebody answered: the contact ended when the talk did
        case when answered_at is not null then coalesce(ended_at, answered_at) end as resolved_at,
        false as has_undated_reopening,
        false as is_open,
        false as is_merged,
        queue_seconds / 60 as wait_minutes,
        false as is_waiting
    from conversations
    where ticket_key is null
),

identified as (
    select contacts.*, assignments.customer_id, coalesce(assignments.customer_id, contacts.contact_key) as person
    from contacts
    left join {{ ref('int_identity__assignments') }} as assignments on contacts.record_key = assignments.record_key
),

-- who does not say what it is about goes on with what was talked of last
topics as (
    select
        *,
        coalesce(
            stated_topic,
            last_value(stated_topic ignore nulls) over (
                partition by person order by started_at, contact_key rows between unbounded preceding and 1 preceding
            ),
            '(unknown)'
        ) as topic
    from identified
),

-- an issue goes on as long as no month passes in which nothing happens
gaps as (
    select
        *,
        max(case when is_open then {{ as_of() }} else greatest(started_at, resolved_at) end) over (
            partition by person, topic order by started_at, contact_key rows between unbounded preceding and 1 preceding
        ) as active_until
    from topics
),

issues as (
    select
        *,
        count(*) filter (where active_until is null or started_at > active_until + interval 30 day) over (
            partition by person, topic order by started_at, contact_key rows unbounded preceding
        ) as issue_number
    from gaps
)

select
    contact_key,
    first_value(contact_key) over issue as issue_key,
    row_number() over issue as contact_number,
    row_number() over issue > 1 as is_repeat,
    row_number() over issue > 1 and (channel is distinct from lag(channel) over issue) as is_channel_switch,
    customer_id,
    kind,
    source,
    channel,
    topic,
    stated_topic is not null as is_topic_stated,
    ticket_key,
    order_key,
    started_at,
    resolved_at,
    reopened_at,
    coalesce(has_undated_reopening, false) as has_undated_reopening,
    further_message_at,
    is_open,
    is_merged,
    wait_minutes,
    is_waiting
from issues
window issue as (partition by person, topic, issue_number order by started_at, contact_key)
