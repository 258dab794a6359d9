with tickets as (
    select *, {{ person_reference(email='email') }} as record_key from {{ ref('tickets') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

messages as (
    select
        ticket_key,
        count(*) filter (where author_role = 'customer') as customer_messages,
        count(*) filter (where author_role = 'agent' and coalesce(is_public, true)) as agent_replies,
        min(sent_at) filter (where author_role = 'agent' and coalesce(is_public, true)) as first_replied_at
    from {{ ref('messages') }}
    where ticket_key is not null
    group by ticket_key
),

status_events as (
    select
        ticket_key,
        occurred_at,
        to_value,
        coalesce(
            from_value, lag(to_value) over (partition by ticket_key order by occurred_at, ticket_event_key)
        ) as from_value
    from {{ ref('ticket_events') }}
    where field = 'status'
),

-- returns from solved to a state in which somebody has work again
changes as (
    select
        ticket_key,
        min(occurred_at) filter (where to_value = 'solved') as first_solved_at,
        max(occurred_at) filter (where to_value = 'solved') as solved_at,
        count(*) filter (where from_value = 'solved' and to_value in ('new', 'open', 'pending', 'hold')) as reopens
    from status_events
    group by ticket_key
),

joined as (
    select
        tickets.* replace (
            coalesce(messages.first_replied_at, tickets.first_replied_at) as first_replied_at,
            coalesce(changes.first_solved_at, tickets.first_solved_at, tickets.solved_at) as first_solved_at,
            coalesce(changes.solved_at, tickets.solved_at) as solved_at,
            coalesce(changes.reopens, tickets.reopens, 0) as reopens,
            coalesce(tickets.is_merged, false) as is_merged
        ),
        assignments.customer_id,
        coalesce(messages.customer_messages, 0) as customer_messages,
        coalesce(messages.agent_replies, 0) as agent_replies
    from tickets
    left join assignments on tickets.record_key = assignments.record_key
    left join messages on tickets.ticket_key = messages.ticket_key
    left join changes on tickets.ticket_key = changes.ticket_key
),

final as (
    select
        *,
        {{ reporting_date('created_at') }} as created_on,
        status not in ('solved', 'closed') as is_open,
        agent_replies = 1 and not is_merged and status in ('solved', 'closed') as is_one_touch,
        date_diff('second', created_at, first_replied_at) / 3600.0 as first_reply_hours,
        date_diff('second', created_at, first_solved_at) / 3600.0 as first_resolution_hours,
        date_diff('second', created_at, solved_at) / 3600.0 as full_resolution_hours
    from joined
)

select {{ contract_columns() }} from final
