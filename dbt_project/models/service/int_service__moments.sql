{#- The moments at which something happens to a ticket: between them its clocks are read. -#}
with tickets as (
    select ticket_key, created_at from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

moments as (
    select ticket_key, created_at as moment from tickets
    union
    select ticket_key, {{ as_of() }} from tickets
    union
    select ticket_key, said_at from {{ ref('int_service__talk') }}
    union
    select ticket_key, starts_at from {{ ref('int_service__states') }}
    union
    select ticket_key, starts_at from {{ ref('int_service__schedule_spans') }}
    union
    select ticket_key, unnest([first_replied_at, first_solved_at, solved_at, closed_at])
    from {{ ref('tickets') }}
    where created_at <= {{ as_of() }}
)

select ticket_key, moment from moments where moment <= {{ as_of() }}
