{#- What a customer had to do and to wait for, contact by contact, as the facts of service have it. -#}
select
    contacts.contact_key,
    contacts.ticket_key,
    contacts.customer_id,
    greatest(coalesce(tickets.customer_messages, 0), 1) as messages,
    contacts.is_channel_switch::bigint as channel_switches,
    coalesce(tickets.handoffs, 0) as handoffs,
    contacts.is_repeat::bigint as repeat_contacts,
    coalesce(contacts.wait_minutes, 0) as wait_minutes
from {{ ref('int_service__contacts') }} as contacts
left join {{ ref('fct_tickets') }} as tickets on contacts.ticket_key = tickets.ticket_key
where contacts.customer_id is not null
