{#- Where a help desk's own figures of a ticket differ from ours, and why. Its minutes are whole and rounded
    down: that alone is no difference. A cause is named only where it gives the system's very figure. -#}
with theirs as (
    select * from {{ ref('ticket_metric_sets') }}
),

tickets as (
    select * from {{ ref('fct_tickets') }}
),

-- what a wait amounts to without the span that still goes on
ended as (
    select
        {% for wait in ['requester', 'agent', 'hold'] %}
        max(ended_minutes) filter (where wait = '{{ wait }}') as {{ wait }}_minutes,
        max(ended_business_minutes) filter (where wait = '{{ wait }}') as {{ wait }}_business_minutes,
        {% endfor %}
        ticket_key
    from {{ ref('int_service__waits') }}
    group by ticket_key
),

our_breaches as (
    select ticket_key, metric, count(*) filter (where outcome = 'breached') as breached
    from {{ ref('int_service__slas') }}
    where is_told_by_source
    group by all
),

their_breaches as (
    select ticket_key, metric, count(*) as breached
    from {{ ref('sla_events') }}
    where kind = 'breached' and occurred_at <= {{ as_of() }}
    group by all
),

breaches as (
    select
        coalesce(ours.ticket_key, said.ticket_key) as ticket_key,
        coalesce(ours.metric, said.metric) || '_breached' as metric,
        coalesce(ours.breached, 0) as ours,
        coalesce(said.breached, 0) as theirs
    from our_breaches as ours
    full join their_breaches as said
        on ours.ticket_key = said.ticket_key and ours.metric = said.metric
),

pairs as (
    select
        tickets.ticket_key,
        tickets.source,
        tickets.has_unlisted_replies,
        tickets.is_open and tickets.solved_at is not null as is_open_again,
        pair.metric,
        pair.ours,
        pair.theirs,
        pair.by_last_schedule,
        pair.without_running,
        pair.in_minutes
    from tickets
    inner join theirs on tickets.ticket_key = theirs.ticket_key
    left join ended on tickets.ticket_key = ended.ticket_key
    cross join
        lateral (
            values
            ('replies', tickets.agent_replies, theirs.replies, null, null, false),
            ('reopens', tickets.reopens, theirs.reopens, null, null, false),
            ('assignee_stations', tickets.assignee_stations, theirs.assignee_stations, null, null, false),
            ('group_stations', tickets.group_stations, theirs.group_stations, null, null, false),
            ('first_reply_minutes', tickets.first_reply_minutes, theirs.first_reply_minutes, null, null, true),
            (
                'first_reply_business_minutes',
                tickets.first_reply_business_minutes,
                theirs.first_reply_business_minutes,
                tickets.first_reply_last_schedule_minutes, null, true
            ),
            (
                'first_resolution_minutes',
                tickets.first_resolution_minutes,
                theirs.first_resolution_minutes,
                null,
                null,
                true
            ),
            (
                'first_resolution_business_minutes', tickets.first_resolution_business_minutes,
                theirs.first_resolution_business_minutes, tickets.first_resolution_last_schedule_minutes, null, true
            ),
            (
                'full_resolution_minutes',
                tickets.full_resolution_minutes,
                theirs.full_resolution_minutes,
                null,
                null,
                true
            ),
            (
                'full_resolution_business_minutes', tickets.full_resolution_business_minutes,
                theirs.full_resolution_business_minutes, tickets.full_resolution_last_schedule_minutes, null, true
            ),
            (
                'requester_wait_minutes', tickets.requester_wait_minutes, theirs.requester_wait_minutes,
                null, ended.requester_minutes, true
            ),
            (
                'requester_wait_business_minutes',
                tickets.requester_wait_business_minutes,
                theirs.requester_wait_business_minutes,
                tickets.requester_wait_last_schedule_minutes, ended.requester_business_minutes, true
            ),
            (
                'agent_wait_minutes', tickets.agent_wait_minutes, theirs.agent_wait_minutes,
                null, ended.agent_minutes, true
            ),
            (
                'agent_wait_business_minutes', tickets.agent_wait_business_minutes, theirs.agent_wait_business_minutes,
                tickets.agent_wait_last_schedule_minutes, ended.agent_business_minutes, true
            ),
            ('on_hold_minutes', tickets.on_hold_minutes, theirs.on_hold_minutes, null, ended.hold_minutes, true),
            (
                'on_hold_business_minutes', tickets.on_hold_business_minutes, theirs.on_hold_business_minutes,
                null, ended.hold_business_minutes, true
            )
        ) as pair (metric, ours, theirs, by_last_schedule, without_running, in_minutes)
    union all
    select
        breaches.ticket_key, tickets.source, tickets.has_unlisted_replies, false, breaches.metric,
        breaches.ours, breaches.theirs, null, null, false
    from breaches
    inner join tickets on breaches.ticket_key = tickets.ticket_key
),

known as (
    select
        ticket_key,
        count(*) filter (where field = 'status') as status_events,
        count(*) filter (where field = 'support_group') as group_events
    from {{ ref('ticket_events') }}
    group by ticket_key
),

schedules as (
    select ticket_key, count(*) as schedules from {{ ref('int_service__schedule_spans') }} group by ticket_key
),

compared as (
    select
        pairs.*,
        coalesce(known.status_events, 0) as status_events,
        coalesce(known.group_events, 0) as group_events,
        coalesce(schedules.schedules, 0) as schedules,
        case
            when pairs.ours is null and pairs.theirs is null then true
            when pairs.in_minutes then coalesce(floor(round(pairs.ours, 6)) = pairs.theirs, false)
            else coalesce(pairs.ours = pairs.theirs, false)
        end as is_equal
    from pairs
    left join known on pairs.ticket_key = known.ticket_key
    left join schedules on pairs.ticket_key = schedules.ticket_key
)

select
    ticket_key || ':' || metric as difference_key,
    source,
    ticket_key,
    metric,
    cast(theirs as double) as value_of_source,
    cast(ours as double) as value,
    cast(ours as double) - cast(theirs as double) as difference,
    case
        when theirs is null and ours = 0 then 'a state the ticket never was in: nothing there, no time here'
        when floor(round(without_running, 6)) = theirs then 'the source counts a state only once it has ended'
        when theirs is null and without_running = 0 then 'the source counts a state only once it has ended'
        when schedules > 1 and floor(round(by_last_schedule, 6)) = theirs
            then 'the source measures all of the time by the last schedule'
        when metric like '%business%' and schedules = 0 then 'the business hours of the source are not known'
        when metric like 'full_resolution%' and is_open_again and ours is null
            then 'the ticket is open again: the source keeps the time until it was last solved'
        when metric = 'group_stations' and theirs = greatest(group_events, 1)
            then 'the source counts the teams it was moved to, and one at least, not the one it began with'
        when
            metric = 'replies' and has_unlisted_replies
            then 'agents replied in a chat or call, of which single messages are not known'
        when status_events = 0 and metric not like '%reply%' and metric <> 'replies'
            then 'the changes of the ticket are not known'
        when theirs is null then 'the source gives no figure'
        else 'unexplained'
    end as cause
from compared
where not is_equal
