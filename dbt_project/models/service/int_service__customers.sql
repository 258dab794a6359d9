{#- What service each customer has needed: for the list of customers. -#}
with contacts as (
    select
        customer_id,
        count(*) as contacts,
        count(*) filter (where is_repeat) as repeat_contacts,
        cast(sum(cast(wait_minutes as decimal(18, 4))) as double) / count(wait_minutes) as mean_wait_minutes
    from {{ ref('int_service__contacts') }}
    where customer_id is not null
    group by customer_id
),

tickets as (
    select
        customer_id,
        count(*) filter (where created_at > {{ as_of() }} - interval 12 month) as tickets_12_months,
        -- a rating that has no time of its own is as old as its ticket
        arg_max(last_rating, (coalesce(rated_at, solved_at, closed_at, created_at), ticket_key)) filter (
            where last_rating is not null
        ) as last_ticket_satisfaction
    from {{ ref('fct_tickets') }}
    where customer_id is not null
    group by customer_id
)

select
    contacts.customer_id,
    contacts.contacts,
    contacts.repeat_contacts,
    contacts.mean_wait_minutes,
    coalesce(tickets.tickets_12_months, 0) as tickets_12_months,
    tickets.last_ticket_satisfaction
from contacts
left join tickets on contacts.customer_id = tickets.customer_id
