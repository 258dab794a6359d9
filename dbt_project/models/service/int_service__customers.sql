{#- What service each customer has needed: for the list of customers and for the index of effort. -#}
with contacts as (
    select
        customer_id,
        count(*) as contacts,
        count(*) filter (where contact_number > 1 and channel is distinct from channel_before) as channel_switches,
        count(*) filter (where contact_number > 1) as repeat_contacts,
        sum(cast(wait_minutes as decimal(18, 4))) as wait_minutes,
        count(wait_minutes) as contacts_with_wait
    from {{ ref('int_service__contacts') }}
    where customer_id is not null
    group by customer_id
),

tickets as (
    select
        customer_id,
        count(*) filter (where is_open) as open_tickets,
        count(*) filter (where created_at > {{ as_of() }} - interval 12 month) as tickets_12_months,
        sum(handoffs) as handoffs,
        -- a rating that has no time of its own is as old as its ticket
        arg_max(last_rating, (coalesce(rated_at, solved_at, closed_at, created_at), ticket_key))
            filter (where last_rating is not null) as last_ticket_satisfaction
    from {{ ref('fct_tickets') }}
    where customer_id is not null
    group by customer_id
)

select
    contacts.customer_id,
    contacts.contacts,
    contacts.channel_switches,
    coalesce(tickets.handoffs, 0) as handoffs,
    contacts.repeat_contacts,
    cast(contacts.wait_minutes as double) as wait_minutes,
    cast(contacts.wait_minutes as double) / contacts.contacts_with_wait as mean_wait_minutes,
    coalesce(tickets.open_tickets, 0) as open_tickets,
    coalesce(tickets.tickets_12_months, 0) as tickets_12_months,
    tickets.last_ticket_satisfaction
from contacts
left join tickets on contacts.customer_id = tickets.customer_id
