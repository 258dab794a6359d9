-- The states of a ticket follow each other without gap or overlap, from its creation on; only the last one is open.
with states as (
    select
        *,
        lag(ends_at) over (partition by ticket_key order by state_number) as ended_before
    from {{ ref('fct_ticket_timeline') }}
),

ends as (
    select
        ticket_key,
        min(starts_at) as starts_at,
        count(*) filter (where is_current) as current_states
    from states
    group by ticket_key
)

select ticket_key, starts_at
from states
where
    (state_number > 1 and starts_at is distinct from ended_before)
    or ends_at <= starts_at
union all
select tickets.ticket_key, tickets.created_at
from {{ ref('fct_tickets') }} as tickets
left join ends on tickets.ticket_key = ends.ticket_key
where ends.starts_at is distinct from tickets.created_at or ends.current_states <> 1
