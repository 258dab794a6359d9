{#- Of each schedule that a ticket ever had, how long it had been open at each moment of the ticket. -#}
with schedules as (
    select distinct ticket_key, schedule_key from {{ ref('int_service__schedule_spans') }}
),

moments as (
    select schedules.ticket_key, schedules.schedule_key, moments.moment
    from schedules
    inner join {{ ref('int_service__moments') }} as moments on schedules.ticket_key = moments.ticket_key
)

select
    moments.ticket_key,
    moments.schedule_key,
    moments.moment,
    {{ open_until('hours', 'moments.moment') }} as open_microseconds
from moments
asof inner join {{ ref('int_service__open_hours') }} as hours
    on moments.schedule_key = hours.schedule_key and moments.moment >= hours.opens_at
