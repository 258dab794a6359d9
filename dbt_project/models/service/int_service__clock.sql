{#- How much business time had passed for a ticket at each of its moments: over all schedules that it had,
    each while it held. Empty where the business hours of its system are not known. -#}
with readings as (
    select * from {{ ref('int_service__schedule_clock') }}
),

spans as (
    select
        spans.ticket_key,
        spans.schedule_key,
        spans.starts_at,
        starts.open_microseconds as at_start,
        coalesce(sum(ends.open_microseconds - starts.open_microseconds) over (
            partition by spans.ticket_key order by spans.starts_at rows between unbounded preceding and 1 preceding
        ), 0) as before,
        -- once a schedule is not known, nothing is
        count(*) over earlier = count(starts.open_microseconds) over earlier as is_known
    from {{ ref('int_service__schedule_spans') }} as spans
    left join readings as starts
        on
            spans.ticket_key = starts.ticket_key
            and spans.schedule_key = starts.schedule_key
            and spans.starts_at = starts.moment
    left join readings as ends
        on
            spans.ticket_key = ends.ticket_key
            and spans.schedule_key = ends.schedule_key
            and spans.ends_at = ends.moment
    window earlier as (partition by spans.ticket_key order by spans.starts_at rows unbounded preceding)
),

held as (
    select
        moments.ticket_key,
        moments.moment,
        spans.schedule_key,
        spans.at_start,
        spans.before,
        spans.is_known
    from {{ ref('int_service__moments') }} as moments
    asof left join spans
        on moments.ticket_key = spans.ticket_key and moments.moment >= spans.starts_at
)

select
    held.ticket_key,
    held.moment,
    held.schedule_key,
    case
        when held.is_known then cast(held.before as bigint) + readings.open_microseconds - held.at_start
    end as business_microseconds
from held
left join readings
    on
        held.ticket_key = readings.ticket_key
        and held.schedule_key = readings.schedule_key
        and held.moment = readings.moment
