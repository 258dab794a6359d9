{#- How long each ticket was in which kind of state so far: whole spans and the one still going on.
    What comes after closing is nobody's wait. The last schedule's figure is by the schedule held last. -#}
with states as (
    select
        *,
        case
            when status in {{ requester_waits() }} then 'requester'
            when status = 'pending' then 'agent'
            when status is null then 'unknown'
        end as waiting
    from {{ ref('int_service__states') }}
),

last_schedules as (
    select ticket_key, arg_max(schedule_key, starts_at) as schedule_key
    from {{ ref('int_service__schedule_spans') }}
    group by ticket_key
),

measured as (
    select
        states.ticket_key,
        states.status,
        states.waiting,
        states.ends_at is null as is_current,
        date_diff('microsecond', states.starts_at, coalesce(states.ends_at, {{ as_of() }})) as calendar,
        ends.business_microseconds - starts.business_microseconds as business,
        last_ends.open_microseconds - last_starts.open_microseconds as by_last_schedule
    from states
    left join {{ ref('int_service__clock') }} as starts
        on states.ticket_key = starts.ticket_key and states.starts_at = starts.moment
    left join {{ ref('int_service__clock') }} as ends
        on states.ticket_key = ends.ticket_key and coalesce(states.ends_at, {{ as_of() }}) = ends.moment
    left join last_schedules on states.ticket_key = last_schedules.ticket_key
    left join {{ ref('int_service__schedule_clock') }} as last_starts
        on
            states.ticket_key = last_starts.ticket_key
            and last_schedules.schedule_key = last_starts.schedule_key
            and states.starts_at = last_starts.moment
    left join {{ ref('int_service__schedule_clock') }} as last_ends
        on
            states.ticket_key = last_ends.ticket_key
            and last_schedules.schedule_key = last_ends.schedule_key
            and coalesce(states.ends_at, {{ as_of() }}) = last_ends.moment
    where states.waiting is not null
),

kinds as (
    select
        measured.ticket_key,
        kind.wait,
        measured.is_current,
        measured.calendar,
        measured.business,
        measured.by_last_schedule
    from measured
    inner join (
        values
        ('requester', 'new'), ('requester', 'open'), ('requester', 'hold'),
        ('agent', 'pending'), ('hold', 'hold'), ('agent_work', 'new'), ('agent_work', 'open'),
        ('unknown', null)
    ) as kind (wait, status)
        on measured.status is not distinct from kind.status
),

unknown as (
    select distinct ticket_key from kinds where wait = 'unknown'
),

tickets as (
    select distinct ticket_key from {{ ref('int_service__states') }}
),

-- a ticket that never was in such a state waited for no time, unless it may have been
sums as (
    select
        tickets.ticket_key,
        waits.wait,
        coalesce(sum(kinds.calendar), 0) as calendar,
        case when count(kinds.ticket_key) = count(kinds.business) then coalesce(sum(kinds.business), 0) end as business,
        case
            when count(kinds.ticket_key) = count(kinds.by_last_schedule) then coalesce(sum(kinds.by_last_schedule), 0)
        end
            as by_last_schedule,
        coalesce(bool_or(kinds.is_current), false) as is_running,
        coalesce(sum(kinds.calendar) filter (where not kinds.is_current), 0) as calendar_ended,
        coalesce(sum(kinds.business) filter (where not kinds.is_current), 0) as business_ended
    from tickets
    cross join (values ('requester'), ('agent'), ('hold'), ('agent_work')) as waits (wait)
    left join kinds on tickets.ticket_key = kinds.ticket_key and waits.wait = kinds.wait
    where tickets.ticket_key not in (select unknown.ticket_key from unknown)
    group by all
)

select
    sums.ticket_key,
    sums.wait,
    {{ in_minutes('sums.calendar') }} as minutes,
    case when last_schedules.ticket_key is not null then {{ in_minutes('sums.business') }} end as business_minutes,
    case when last_schedules.ticket_key is not null then {{ in_minutes('sums.by_last_schedule') }} end
        as last_schedule_minutes,
    sums.is_running,
    {{ in_minutes('sums.calendar_ended') }} as ended_minutes,
    case when last_schedules.ticket_key is not null then {{ in_minutes('sums.business_ended') }} end
        as ended_business_minutes
from sums
left join last_schedules on sums.ticket_key = last_schedules.ticket_key
