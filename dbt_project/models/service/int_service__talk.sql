{#- What customer and agents said to each other about a ticket, wherever they did. A comment that holds a
    whole chat is no reply; a chat or call of which no word is known is one, made when it was answered. -#}
with tickets as (
    select ticket_key, created_at from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

conversations as (
    select * from {{ ref('conversations') }} where ticket_key is not null and kind <> 'bot'
),

messages as (
    select
        coalesce(messages.ticket_key, conversations.ticket_key) as ticket_key,
        messages.conversation_key,
        messages.message_key,
        messages.author_role,
        messages.sent_at
    from {{ ref('messages') }} as messages
    left join {{ ref('conversations') }} as conversations
        on messages.conversation_key = conversations.conversation_key
    where
        coalesce(messages.is_public, true)
        and not coalesce(messages.is_transcript, false)
        and messages.author_role in ('customer', 'agent')
),

said as (
    select ticket_key, message_key as talk_key, author_role, sent_at as said_at, true as is_message
    from messages
    union all
    select ticket_key, conversation_key || ':answered', 'agent', answered_at, false
    from conversations
    where
        answered_at is not null
        and conversation_key not in (select conversation_key from messages where conversation_key is not null)
)

select
    said.ticket_key,
    said.talk_key,
    said.author_role,
    greatest(said.said_at, tickets.created_at) as said_at,
    said.is_message,
    row_number() over (
        partition by said.ticket_key, said.author_role order by said.said_at, length(said.talk_key), said.talk_key
    ) as number_of_author
from said
inner join tickets on said.ticket_key = tickets.ticket_key
where said.said_at <= {{ as_of() }}
