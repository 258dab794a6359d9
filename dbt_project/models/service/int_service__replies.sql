{#- One row each time a customer waits for a reply: from the creation for the first one, later from the
    first message since the agent last spoke. It ends with the reply, or without one with the ticket. -#}
with tickets as (
    select ticket_key, created_at from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

talk as (
    select
        *,
        count(*) filter (where author_role = 'agent') over (
            partition by ticket_key order by said_at, author_role desc, length(talk_key), talk_key
            rows between unbounded preceding and 1 preceding
        ) as replies_before
    from {{ ref('int_service__talk') }}
),

exchanges as (
    select
        ticket_key,
        replies_before,
        min(said_at) filter (where author_role = 'customer') as asked_at,
        min(said_at) filter (where author_role = 'agent') as replied_at
    from talk
    group by all
    union all
    -- nobody has said anything that is known
    select tickets.ticket_key, 0, null, null
    from tickets
    anti join talk on tickets.ticket_key = talk.ticket_key
),

waits as (
    select
        exchanges.ticket_key,
        exchanges.replies_before = 0 as is_first,
        case when exchanges.replies_before = 0 then tickets.created_at else exchanges.asked_at end as waiting_since,
        exchanges.replied_at
    from exchanges
    inner join tickets on exchanges.ticket_key = tickets.ticket_key
    where exchanges.replies_before = 0 or exchanges.asked_at is not null
),

ends as (
    select ticket_key, starts_at as ended_at from {{ ref('int_service__states') }} where status in ('solved', 'closed')
),

ended as (
    select waits.*, ends.ended_at
    from waits
    asof left join ends
        on waits.ticket_key = ends.ticket_key and waits.waiting_since <= ends.ended_at
),

told as (
    select
        ended.* replace (
            -- of a ticket without messages the source may still tell its first reply
            case
                when ended.is_first and ended.replied_at is null and tickets.first_replied_at <= {{ as_of() }}
                    then greatest(tickets.first_replied_at, tickets.created_at)
                else ended.replied_at
            end as replied_at
        )
    from ended
    inner join {{ ref('tickets') }} as tickets on ended.ticket_key = tickets.ticket_key
)

select
    ticket_key,
    row_number() over (partition by ticket_key order by waiting_since, is_first desc) as wait_number,
    is_first,
    waiting_since,
    replied_at,
    coalesce(replied_at, ended_at) as ended_at,
    least(replied_at, ended_at) as clock_stopped_at,
    case
        when replied_at is not null then 'replied' when ended_at is not null then 'closed' else 'waiting'
    end as outcome
from told
