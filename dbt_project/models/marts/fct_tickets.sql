{% set measures = ['minutes', 'business_minutes', 'last_schedule_minutes'] %}
with tickets as (
    select *, {{ person_reference(email='email') }} as record_key
    from {{ ref('tickets') }}
    where created_at <= {{ as_of() }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

talk as (
    select
        ticket_key,
        count(*) filter (where author_role = 'customer') as customer_messages,
        count(*) filter (where author_role = 'agent' and is_message) as agent_replies,
        -- a chat of which no word is known
        count(*) filter (where not is_message) > 0 as has_unlisted_replies
    from {{ ref('int_service__talk') }}
    group by ticket_key
),

transcripts as (
    select distinct ticket_key from {{ ref('messages') }} where is_transcript and ticket_key is not null
),

first_replies as (
    select ticket_key, replied_at, outcome from {{ ref('int_service__replies') }} where is_first
),

further_replies as (
    select ticket_key, count(*) filter (where outcome = 'replied') as next_replies
    from {{ ref('int_service__replies') }}
    where not is_first
    group by ticket_key
),

-- who held it, one after the other
stations as (
    select
        ticket_key,
        count(*) filter (where assignee_key is not null and assignee_key is distinct from assignee_before)
            as assignee_stations,
        count(*) filter (where group_name is not null and group_name is distinct from group_before) as group_stations,
        -- agent and team that change together are one hand-off
        count(*) filter (where assignee_key <> assignee_before or group_name <> group_before) as handoffs
    from (
        select
            ticket_key,
            assignee_key,
            group_name,
            lag(last_assignee) over life as assignee_before,
            lag(last_group) over life as group_before
        from (
            select
                *,
                last_value(assignee_key ignore nulls) over so_far as last_assignee,
                last_value(group_name ignore nulls) over so_far as last_group
            from {{ ref('int_service__states') }}
            window so_far as (partition by ticket_key order by state_number rows unbounded preceding)
        )
        window life as (partition by ticket_key order by state_number)
    )
    group by ticket_key
),

waits as (
    select
        {% for wait in ['requester', 'agent', 'hold', 'agent_work'] %}
        {% for measure in measures %}
        max({{ measure }}) filter (where wait = '{{ wait }}') as {{ wait }}_{{ measure }},
        {% endfor %}
        {% endfor %}
        ticket_key
    from {{ ref('int_service__waits') }}
    group by ticket_key
),

-- from the creation to three moments, by three clocks
ends as (
    select tickets.ticket_key, tickets.created_at, moments.name, moments.ended_at
    from tickets
    inner join {{ ref('int_service__resolutions') }} as resolutions on tickets.ticket_key = resolutions.ticket_key
    left join first_replies on tickets.ticket_key = first_replies.ticket_key
    cross join
        lateral (
            values
            ('first_reply', first_replies.replied_at),
            ('first_resolution', resolutions.first_solved_at),
            ('full_resolution', case when tickets.status in ('solved', 'closed') then resolutions.solved_at end)
        ) as moments (name, ended_at)
    where moments.ended_at is not null
),

measured as (
    select
        ends.ticket_key,
        ends.name,
        {{ minutes_between('ends.created_at', 'ends.ended_at') }} as minutes,
        {{ in_minutes('finish.business_microseconds - start.business_microseconds') }} as business_minutes,
        {{ in_minutes('last_finish.open_microseconds - last_start.open_microseconds') }} as last_schedule_minutes
    from ends
    left join {{ ref('int_service__clock') }} as start
        on ends.ticket_key = start.ticket_key and ends.created_at = start.moment
    left join {{ ref('int_service__clock') }} as finish
        on ends.ticket_key = finish.ticket_key and ends.ended_at = finish.moment
    left join {{ ref('int_service__schedule_clock') }} as last_start
        on
            ends.ticket_key = last_start.ticket_key
            and finish.schedule_key = last_start.schedule_key
            and ends.created_at = last_start.moment
    left join {{ ref('int_service__schedule_clock') }} as last_finish
        on
            ends.ticket_key = last_finish.ticket_key
            and finish.schedule_key = last_finish.schedule_key
            and ends.ended_at = last_finish.moment
),

times as (
    select
        {% for name in ['first_reply', 'first_resolution', 'full_resolution'] %}
        {% for measure in measures %}
        max({{ measure }}) filter (where name = '{{ name }}') as {{ name }}_{{ measure }},
        {% endfor %}
        {% endfor %}
        ticket_key
    from measured
    group by ticket_key
),

slas as (
    select
        ticket_key,
        count(*) as sla_targets,
        count(*) filter (where outcome = 'breached') as sla_breaches,
        count(*) filter (where outcome in ('running', 'unknown')) as sla_undecided
    from {{ ref('int_service__slas') }}
    group by ticket_key
),

joined as (
    select
        tickets.* replace (
            first_replies.replied_at as first_replied_at,
            resolutions.first_solved_at as first_solved_at,
            resolutions.solved_at as solved_at,
            resolutions.reopens as reopens,
            coalesce(tickets.is_merged, false) as is_merged
        ),
        tickets.status not in ('solved', 'closed') as is_open,
        assignments.customer_id,
        coalesce(talk.customer_messages, 0) as customer_messages,
        coalesce(talk.agent_replies, 0) as agent_replies,
        coalesce(talk.has_unlisted_replies, false) or transcripts.ticket_key is not null as has_unlisted_replies,
        coalesce(further_replies.next_replies, 0) as next_replies,
        resolutions.first_reopened_at,
        stations.assignee_stations,
        stations.group_stations,
        stations.handoffs,
        times.* exclude (ticket_key),
        waits.* exclude (ticket_key),
        coalesce(slas.sla_targets, 0) as sla_targets,
        coalesce(slas.sla_breaches, 0) as sla_breaches,
        coalesce(slas.sla_undecided, 0) as sla_undecided,
        satisfaction.first_rating,
        coalesce(satisfaction.last_rating, {{ satisfaction_word('tickets.satisfaction') }}) as last_rating,
        satisfaction.rated_at,
        coalesce(satisfaction.is_good_to_bad, false) as is_good_to_bad,
        coalesce(satisfaction.is_bad_to_good, false) as is_bad_to_good
    from tickets
    left join assignments on tickets.record_key = assignments.record_key
    left join {{ ref('int_service__resolutions') }} as resolutions on tickets.ticket_key = resolutions.ticket_key
    left join talk on tickets.ticket_key = talk.ticket_key
    left join transcripts on tickets.ticket_key = transcripts.ticket_key
    left join first_replies on tickets.ticket_key = first_replies.ticket_key
    left join further_replies on tickets.ticket_key = further_replies.ticket_key
    left join stations on tickets.ticket_key = stations.ticket_key
    left join times on tickets.ticket_key = times.ticket_key
    left join waits on tickets.ticket_key = waits.ticket_key
    left join slas on tickets.ticket_key = slas.ticket_key
    left join {{ ref('int_service__satisfaction') }} as satisfaction on tickets.ticket_key = satisfaction.ticket_key
),

judged as (
    select
        *,
        not is_open and not is_merged as is_finished,
        -- only when the days have passed is it known that nobody came back; when somebody did, not every system tells
        case
            when reopens > 0 and first_reopened_at is null then null
            when first_solved_at + interval 14 day <= {{ as_of() }}
                then coalesce(first_reopened_at > first_solved_at + interval 14 day, true)
        end as has_stayed_solved,
        case when sla_breaches > 0 then false when sla_targets > sla_undecided then true end as is_within_sla,
        last_rating = 'good' as is_rated_good
    from joined
),

final as (
    select
        *,
        {{ reporting_date('created_at') }} as created_on,
        {{ reporting_date('first_solved_at') }} as first_solved_on,
        case
            when is_finished then {{ reporting_date('coalesce(solved_at, closed_at, first_solved_at)') }}
        end as finished_on,
        case
            when has_unlisted_replies and is_finished and agent_replies <= 1 then null
            -- it was answered, but its messages are not known
            when agent_replies = 0 and first_replied_at is not null and is_finished then null
            else agent_replies = 1 and is_finished
        end as is_one_touch,
        first_reply_minutes / 60 as first_reply_hours,
        first_resolution_minutes / 60 as first_resolution_hours,
        full_resolution_minutes / 60 as full_resolution_hours,
        first_reply_business_minutes / 60 as first_reply_business_hours,
        first_resolution_business_minutes / 60 as first_resolution_business_hours,
        full_resolution_business_minutes / 60 as full_resolution_business_hours,
        requester_minutes as requester_wait_minutes,
        requester_business_minutes as requester_wait_business_minutes,
        requester_last_schedule_minutes as requester_wait_last_schedule_minutes,
        agent_minutes as agent_wait_minutes,
        agent_business_minutes as agent_wait_business_minutes,
        agent_last_schedule_minutes as agent_wait_last_schedule_minutes,
        hold_minutes as on_hold_minutes,
        hold_business_minutes as on_hold_business_minutes,
        case
            when not is_finished then null
            when first_solved_at is null then false
            when has_stayed_solved is not null
                then has_stayed_solved and coalesce(is_within_sla, true) and coalesce(last_rating, '') <> 'bad'
        end as is_success
    from judged
)

select {{ contract_columns() }} from final
