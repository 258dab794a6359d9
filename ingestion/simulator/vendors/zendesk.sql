-- What Zendesk's objects are made of, at the clock. What is written is visible at once: exports are
-- consistent because they withhold the last minute, so nothing comes in late behind it.
with recursive records as (
    select *
    from world.record
    where vendor = 'zendesk' and changed_at <= clock()
    qualify row_number() over (partition by record_id order by version desc) = 1
),

moves as (  -- a merged user's tickets go to the winner, and on from there
    select record_id, merged_into as home, changed_at as moved_at
    from records
    where state = 'merged'
    union all
    select m.record_id, r.merged_into, greatest(m.moved_at, r.changed_at)
    from moves as m
    join records as r on m.home = r.record_id and r.state = 'merged'
),

users as (
    select r.*, coalesce(h.home, r.record_id) as home, h.moved_at
    from records as r
    left join (
        select m.*
        from moves as m
        join records as w on m.home = w.record_id and w.state <> 'merged'
    ) as h using (record_id)
),

tickets as (
    select
        t.*,
        5000 + t.ticket_id as id,
        u.external_id::bigint as submitter,
        h.external_id::bigint as requester,
        t.account_id as organization,
        case when u.moved_at > t.created_at then u.moved_at end as moved_at,
        case when t.deleted_at <= clock() then t.deleted_at end as gone_at
    from world.ticket as t
    join users as u using (record_id)
    join users as h on u.home = h.record_id
    where t.vendor = 'zendesk' and t.created_at <= clock()
),

events as (
    select e.*, t.id as ticket, t.submitter, t.created_at
    from world.ticket_event as e
    join tickets as t using (ticket_id)
    where e.at <= clock()
),

messages as (
    select
        m.*,
        t.id as ticket,
        t.channel,
        case m.author when 'customer' then t.submitter when 'agent' then 700000 + m.employee_id else -1 end as author_id
    from world.message as m
    join tickets as t using (ticket_id)
    where m.at <= clock()
),

latest as (  -- of each field, what it says now
    select
        ticket_id,
        max("at") as changed_at,
        max("at") filter (where actor <> 'system') as edited_at,
        arg_max(to_value, ("at", ticket_event_id)) filter (where field = 'status') as status,
        arg_max(to_value, ("at", ticket_event_id)) filter (where field = 'priority') as priority,
        arg_max(to_value, ("at", ticket_event_id)) filter (where field = 'support_group') as support_group,
        arg_max(employee_id, ("at", ticket_event_id)) filter (where field = 'assignee') as assignee,
        arg_max(to_value, ("at", ticket_event_id)) filter (where field = 'satisfaction') as satisfaction,
        max("at") filter (where field = 'satisfaction') as rated_at,
        min("at") filter (where field = 'satisfaction') as offered_at
    from events
    group by ticket_id
),

talk as (
    select
        ticket_id,
        max("at") as spoken_at,
        arg_min(body, ("at", message_id)) as first_words,
        min("at") filter (where author = 'agent' and is_public) as replied_at,
        count(*) filter (where author = 'agent' and is_public) as replies,
        max("at") filter (where author = 'customer') as requester_spoke_at,
        max("at") filter (where author = 'agent') as assignee_spoke_at
    from messages
    group by ticket_id
),

-- Each time that the customer has the word again, until an agent answers.
questions as (
    select
        ticket_id,
        min("at") filter (where author = 'customer') as asked_at,
        arg_min(message_id, ("at", message_id)) filter (where author = 'customer') as message_id,
        min("at") filter (where author = 'agent') as replied_at
    from (
        select
            *,
            count(*) filter (where author = 'agent') over (
                partition by ticket_id order by "at", author desc, message_id
                rows between unbounded preceding and 1 preceding
            ) as replies_before
        from messages
        where is_public and author in ('customer', 'agent')
    )
    where replies_before > 0
    group by ticket_id, replies_before
    having asked_at is not null
),

-- Working hours of the account: Monday to Friday, 8 to 18 o'clock in Berlin, not on German holidays.
-- `worked` are the minutes of all earlier days, so that a difference of two times needs two lookups;
-- `business` are the seconds worked until a moment.
workdays as (
    select
        day,
        timezone('Europe/Berlin', day + interval 8 hours) as opens_at,
        case when isodow(day) <= 5 and day not in (select h.day from world.holiday as h where h.country = 'DE') then 600 else 0 end as minutes
    from (
        select unnest(generate_series(
            (select min(created_at)::date from tickets) - 1, (clock()::date + 60), interval 1 day
        ))::date as day
    )
),

calendar as (
    select *, coalesce(sum(minutes) over (order by day rows between unbounded preceding and 1 preceding), 0)::bigint as worked
    from workdays
),

-- spans of one status; the last one has no end yet
spans as (
    select
        ticket_id,
        ticket_event_id,
        to_value as status,
        "at" as begins,
        lead("at", 1) over (partition by ticket_id order by "at", ticket_event_id) as ends
    from events
    where field = 'status'
),

moments as (
    select distinct moment from (
        select begins as moment from spans
        union all select created_at from tickets
        union all select replied_at from talk where replied_at is not null
        union all select asked_at from questions
        union all select replied_at from questions where replied_at is not null
    )
),

clocked as (
    select
        m.moment,
        (c.worked * 60 + least(greatest(date_diff('second', c.opens_at, m.moment), 0), c.minutes * 60))::bigint as business
    from moments as m
    join calendar as c on c.day = timezone('Europe/Berlin', m.moment)::date
),

-- The clocks stand in a ticket only where it changes: a span counts once it has ended.
waits as (
    select
        s.ticket_id,
        (sum(date_diff('second', s.begins, e.moment)) filter (where s.status in ('new', 'open', 'hold')) // 60)::bigint as requester_minutes,
        (sum(e.business - b.business) filter (where s.status in ('new', 'open', 'hold')) // 60)::bigint as requester_business,
        (sum(date_diff('second', s.begins, e.moment)) filter (where s.status = 'pending') // 60)::bigint as agent_minutes,
        (sum(e.business - b.business) filter (where s.status = 'pending') // 60)::bigint as agent_business,
        (sum(date_diff('second', s.begins, e.moment)) filter (where s.status = 'hold') // 60)::bigint as hold_minutes,
        (sum(e.business - b.business) filter (where s.status = 'hold') // 60)::bigint as hold_business,
        min(s.begins) filter (where s.status = 'solved') as first_solved_at,
        max(s.begins) filter (where s.status = 'solved') as solved_at,
        min(b.business) filter (where s.status = 'solved') as first_solved_business,
        max(b.business) filter (where s.status = 'solved') as solved_business
    from spans as s
    join clocked as b on s.begins = b.moment
    left join clocked as e on s.ends = e.moment
    group by s.ticket_id
),

stations as (
    select
        ticket_id,
        count(*) filter (where field = 'assignee') as assignees,
        count(*) filter (where field = 'support_group') as groups,
        min("at") filter (where field = 'assignee') as first_assigned_at,
        max("at") filter (where field = 'assignee') as assigned_at,
        max("at") filter (where field = 'status') as status_updated_at,
        min("at") filter (where field = 'status' and to_value in ('solved', 'closed')) as ended_at,
        count(*) filter (where field = 'status' and from_value = 'solved' and to_value <> 'closed') as reopens
    from events
    group by ticket_id
)
