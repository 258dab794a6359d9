{#- What became of each promise. A clock that still runs and has time left is undecided: it is neither kept
    nor broken, and is never left out as if it were not there. -#}
with targets as (
    select * from {{ ref('int_service__targets') }}
),

waits as (
    select
        ticket_key,
        case wait when 'requester' then 'requester_wait' else wait end as metric,
        minutes,
        business_minutes,
        is_running
    from {{ ref('int_service__waits') }}
    where wait in ('requester', 'agent_work')
),

elapsed as (
    select
        targets.*,
        case
            when targets.metric in ('requester_wait', 'agent_work')
                then case when targets.is_business_time then waits.business_minutes else waits.minutes end
            when targets.is_business_time
                then {{ in_minutes('ends.business_microseconds - starts.business_microseconds') }}
            else
                {{ minutes_so_far('targets.started_at', 'targets.ended_at') }}
        end as elapsed_minutes,
        ends.schedule_key,
        coalesce(waits.is_running, true) and targets.ended_at is null as is_running
    from targets
    left join waits on targets.ticket_key = waits.ticket_key and targets.metric = waits.metric
    left join {{ ref('int_service__clock') }} as starts
        on targets.ticket_key = starts.ticket_key and targets.started_at = starts.moment
    left join {{ ref('int_service__clock') }} as ends
        on targets.ticket_key = ends.ticket_key and coalesce(targets.ended_at, {{ as_of() }}) = ends.moment
),

decided as (
    select
        *,
        case
            when elapsed_minutes > target_minutes then 'breached'
            when elapsed_minutes is null then 'unknown'
            when ended_at is not null then 'met'
            else 'running'
        end as outcome
    from elapsed
),

-- the clock of a schedule now, and what it will show when the time left is used up
due as (
    select
        decided.ticket_key,
        decided.metric,
        decided.instance,
        decided.schedule_key,
        readings.open_microseconds
        + cast(round((decided.target_minutes - decided.elapsed_minutes) * 60000000) as bigint) as due_microseconds
    from decided
    inner join {{ ref('int_service__schedule_clock') }} as readings
        on
            decided.ticket_key = readings.ticket_key
            and decided.schedule_key = readings.schedule_key
            and readings.moment = {{ as_of() }}
    where decided.outcome = 'running' and decided.is_running and decided.is_business_time
),

openings as (
    select * from {{ ref('int_service__open_hours') }} where closes_at > opens_at
),

due_at as (
    select
        due.ticket_key,
        due.metric,
        due.instance,
        hours.opens_at + to_microseconds(due.due_microseconds - hours.microseconds_before) as due_at
    from due
    asof inner join openings as hours
        on due.schedule_key = hours.schedule_key and due.due_microseconds > hours.microseconds_before
    where due.due_microseconds <= hours.microseconds_before + date_diff('microsecond', hours.opens_at, hours.closes_at)
)

select
    decided.* exclude (schedule_key),
    case
        when decided.outcome <> 'running' or not decided.is_running then null
        when decided.is_business_time then due_at.due_at
        else {{ as_of() }} + to_microseconds(cast(
            round((decided.target_minutes - decided.elapsed_minutes) * 60000000) as bigint
        ))
    end as due_at
from decided
left join due_at
    on
        decided.ticket_key = due_at.ticket_key
        and decided.metric = due_at.metric
        and decided.instance = due_at.instance
