{#- Status by status what became of each ticket; the last state goes on. -#}
{#- A status that no system told goes on for as long as the ticket is open. -#}
{% set has_minutes -%}
states.ends_at is not null or states.status <> 'closed' or (states.status is null and tickets.is_open)
{%- endset %}
with final as (
    select
        states.ticket_key || ':' || states.state_number as state_key,
        states.ticket_key,
        tickets.customer_id,
        tickets.source,
        states.state_number,
        states.status,
        states.assignee_key,
        states.group_name,
        states.priority,
        states.starts_at,
        states.ends_at,
        states.ends_at is null as is_current,
        case
            when {{ has_minutes }}
                then
                    {{ minutes_so_far('states.starts_at', 'states.ends_at') }}
        end as minutes,
        case
            when {{ has_minutes }}
                then
                    {{ in_minutes('ends.business_microseconds - starts.business_microseconds') }}
        end as business_minutes
    from {{ ref('int_service__states') }} as states
    inner join {{ ref('fct_tickets') }} as tickets on states.ticket_key = tickets.ticket_key
    left join {{ ref('int_service__clock') }} as starts
        on states.ticket_key = starts.ticket_key and states.starts_at = starts.moment
    left join {{ ref('int_service__clock') }} as ends
        on states.ticket_key = ends.ticket_key and coalesce(states.ends_at, {{ as_of() }}) = ends.moment
)

select {{ contract_columns() }} from final
