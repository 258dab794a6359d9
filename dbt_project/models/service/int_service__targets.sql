{#- Each time that a promise was made for a ticket: the clock that runs, and the target that was set when
    it began. Where the system tells which target it applied, that holds; elsewhere the first policy for
    the ticket's priority at that moment, if it asks for nothing else. -#}
with tickets as (
    select ticket_key, source, created_at from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

resolved as (
    select
        states.ticket_key,
        -- of solved and then closed, the first
        min(states.starts_at) as ended_at
    from (
        select
            *,
            max(starts_at) filter (where status not in ('solved', 'closed'))
                over (partition by ticket_key)
                as last_work_at
        from {{ ref('int_service__states') }}
    ) as states
    where
        states.status in ('solved', 'closed')
        and states.starts_at > coalesce(states.last_work_at, timestamp '1700-01-01')
    group by all
),

clocks as (
    select
        ticket_key,
        case when is_first then 'first_reply' else 'next_reply' end as metric,
        wait_number as instance,
        waiting_since as started_at,
        clock_stopped_at as ended_at
    from {{ ref('int_service__replies') }}
    union all
    select tickets.ticket_key, metrics.metric, 1, tickets.created_at, resolved.ended_at
    from tickets
    cross join (values ('requester_wait'), ('agent_work')) as metrics (metric)
    left join resolved on tickets.ticket_key = resolved.ticket_key
),

telling as (
    select distinct source from {{ ref('sla_events') }} where kind = 'applied'
),

placed as (
    select
        clocks.*,
        tickets.source,
        states.priority as priority_at_start,
        telling.source is not null as source_tells
    from clocks
    inner join tickets on clocks.ticket_key = tickets.ticket_key
    left join telling on tickets.source = telling.source
    asof left join {{ ref('int_service__states') }} as states
        on clocks.ticket_key = states.ticket_key and clocks.started_at >= states.starts_at
),

applied as (
    select
        placed.ticket_key,
        placed.metric,
        placed.instance,
        arg_max(struct_pack(
            target_minutes := events.target_minutes,
            is_business_time := coalesce(events.is_business_time, false),
            policy_name := events.policy_name,
            applied_at := events.occurred_at
        ), (events.occurred_at, length(events.sla_event_key), events.sla_event_key)) as target
    from placed
    inner join {{ ref('sla_events') }} as events
        on
            placed.ticket_key = events.ticket_key
            and placed.metric = events.metric
            and (placed.metric in ('requester_wait', 'agent_work') or placed.instance = coalesce(events.instance, 1))
            and events.occurred_at <= coalesce(placed.ended_at, {{ as_of() }})
    where events.kind = 'applied' and events.target_minutes is not null
    group by all
),

policies as (
    select
        source,
        metric,
        priority,
        arg_min(struct_pack(
            target_minutes := target_minutes,
            is_business_time := coalesce(is_business_time, false),
            policy_name := policy_name
        ), (coalesce(position, 1000000), sla_target_key)) as target
    from {{ ref('sla_targets') }}
    where not coalesce(has_conditions, false)
    group by all
)

select
    placed.ticket_key,
    placed.source,
    placed.metric,
    placed.instance,
    placed.priority_at_start,
    placed.started_at,
    placed.ended_at,
    coalesce(applied.target.target_minutes, policies.target.target_minutes) as target_minutes,
    coalesce(applied.target.is_business_time, policies.target.is_business_time) as is_business_time,
    coalesce(applied.target.policy_name, policies.target.policy_name) as policy_name,
    coalesce(applied.target.applied_at, placed.started_at) as applied_at,
    applied.target is not null as is_told_by_source
from placed
left join applied
    on
        placed.ticket_key = applied.ticket_key
        and placed.metric = applied.metric
        and placed.instance = applied.instance
left join policies
    on
        case when not placed.source_tells then placed.source end = policies.source
        and placed.metric = policies.metric
        and placed.priority_at_start = policies.priority
where applied.target is not null or policies.target is not null
