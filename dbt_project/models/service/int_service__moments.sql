{#- The moments at which something happens to a ticket: between them its clocks are read. -#}
with tickets as (
    select ticket_key, created_at from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

moments as (
    select ticket_key, created_at as moment from tickets
    union
    select ticket_key, {{ as_of() }} from tickets
    union
    select ticket_key, starts_at from {{ ref('int_service__states') }}
    union
    select ticket_key, starts_at from {{ ref('int_service__schedule_spans') }}
    union
    select ticket_key, unnest([waiting_since, replied_at, clock_stopped_at]) from {{ ref('int_service__replies') }}
    union
    select ticket_key, unnest([first_solved_at, solved_at]) from {{ ref('int_service__resolutions') }}
)

select ticket_key, moment from moments where moment <= {{ as_of() }}
