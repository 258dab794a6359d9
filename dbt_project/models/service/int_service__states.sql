{#- The life of a ticket as states that follow each other: status, agent, team and priority. What a field
    was before its first known change, the change says; where nothing is known of a time, it is empty. -#}
with tickets as (
    select * from {{ ref('tickets') }} where created_at <= {{ as_of() }}
),

events as (
    select
        events.ticket_key,
        case events.field
            when 'support_group' then 'group_name' when 'assignee' then 'assignee_key' else events.field
        end
            as field,
        greatest(events.occurred_at, tickets.created_at) as moment,
        (events.occurred_at, length(events.ticket_event_key), events.ticket_event_key) as place,
        case events.field
            when 'assignee' then events.source || ':' || nullif(events.from_value, '') else events.from_value
        end
            as from_value,
        case events.field
            when 'assignee' then events.source || ':' || nullif(events.to_value, '') else events.to_value
        end
            as to_value
    from {{ ref('ticket_events') }} as events
    inner join tickets on events.ticket_key = tickets.ticket_key
    where
        events.field in ('status', 'assignee', 'support_group', 'priority')
        and events.occurred_at <= {{ as_of() }}
),

fields as (
    select
        tickets.ticket_key,
        tickets.created_at,
        tickets.first_solved_at,
        tickets.solved_at,
        tickets.closed_at,
        tickets.status,
        field.field,
        case field.field
            when 'status' then tickets.status when 'assignee_key' then tickets.assignee_key
            when 'group_name' then tickets.group_name else tickets.priority
        end as value
    from tickets
    cross join (values ('status'), ('assignee_key'), ('group_name'), ('priority')) as field (field)
),

firsts as (
    select ticket_key, field, min(moment) as moment, arg_min(coalesce(from_value, ''), place) as from_value
    from events
    group by all
),

starts as (
    select
        fields.ticket_key,
        fields.field,
        fields.created_at as moment,
        case
            when firsts.moment is not null
                then coalesce(nullif(firsts.from_value, ''), case fields.field when 'status' then 'new' end)
            -- whether a ticket without events was waiting for the customer meanwhile, nobody knows
            when fields.field <> 'status' or fields.status = 'new' then fields.value
        end as value
    from fields
    left join firsts on fields.ticket_key = firsts.ticket_key and fields.field = firsts.field
    where firsts.moment is null or firsts.moment > fields.created_at
    union all
    select fields.ticket_key, fields.field, greatest(ends.moment, fields.created_at), ends.value
    from fields
    cross join
        lateral (
            values (coalesce(fields.solved_at, fields.first_solved_at), 'solved'), (fields.closed_at, 'closed')
        ) as ends (moment, value)
    left join firsts on fields.ticket_key = firsts.ticket_key and fields.field = firsts.field
    where
        fields.field = 'status'
        and firsts.moment is null
        and fields.status in ('solved', 'closed')
        and ends.moment <= {{ as_of() }}
        and (ends.value = 'solved' or fields.status = 'closed')
),

changes as (
    select ticket_key, field, moment, arg_max(coalesce(to_value, ''), place) as value
    from events
    group by all
    union all
    select ticket_key, field, moment, max(coalesce(value, '')) from starts group by all
),

moments as (
    select
        ticket_key,
        moment,
        max(value) filter (where field = 'status') as status,
        max(value) filter (where field = 'assignee_key') as assignee_key,
        max(value) filter (where field = 'group_name') as group_name,
        max(value) filter (where field = 'priority') as priority
    from changes
    group by all
),

filled as (
    select
        ticket_key,
        moment,
        nullif(last_value(status ignore nulls) over so_far, '') as status,
        nullif(last_value(assignee_key ignore nulls) over so_far, '') as assignee_key,
        nullif(last_value(group_name ignore nulls) over so_far, '') as group_name,
        nullif(last_value(priority ignore nulls) over so_far, '') as priority
    from moments
    window so_far as (partition by ticket_key order by moment rows unbounded preceding)
),

changed as (
    select *
    from filled
    window life as (partition by ticket_key order by moment)
    qualify
        lag(moment) over life is null
        or status is distinct from lag(status) over life
        or assignee_key is distinct from lag(assignee_key) over life
        or group_name is distinct from lag(group_name) over life
        or priority is distinct from lag(priority) over life
)

select
    ticket_key,
    row_number() over life as state_number,
    status,
    assignee_key,
    group_name,
    priority,
    moment as starts_at,
    lead(moment) over life as ends_at
from changed
window life as (partition by ticket_key order by moment)
