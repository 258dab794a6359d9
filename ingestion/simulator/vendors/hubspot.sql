-- What HubSpot's objects are made of, at the clock. Times are whole milliseconds, as the API tells them.
with versions as (
    select *
    from world.record
    where vendor = 'hubspot' and object = 'contact' and happened(changed_at, record_id)
),

newest as (
    select *, max(changed_at) filter (where state <> 'archived') over (partition by record_id) as said_at
    from versions
    qualify row_number() over (partition by record_id order by version desc) = 1
),

-- each contact that was merged away, with the one that it is now, through all merges in between
merges as (
    with recursive trail as (
        select record_id as loser, merged_into as winner, changed_at as merged_at
        from newest where state = 'merged'
        union all
        select trail.loser, n.merged_into, trail.merged_at
        from trail join newest as n on n.record_id = trail.winner
        where n.state = 'merged'
    )
    select t.loser, l.external_id, t.winner, t.merged_at
    from trail as t
    join newest as w on w.record_id = t.winner and w.state in ('live', 'archived')
    join newest as l on l.record_id = t.loser
),

absorbed as (
    select
        winner as record_id,
        max(merged_at) as merged_at,
        string_agg(external_id, ';' order by external_id) as ids,
        string_agg(external_id || ':' || epoch_ms(merged_at), ';' order by external_id) as dated
    from merges
    group by winner
),

-- a change of consent, once for each version that tells of a new one
consents as (
    select
        record_id,
        email_consent,
        min(coalesce(consent_changed_at, changed_at)) as "at"
    from versions
    where email_consent is not null
    group by record_id, email_consent, coalesce(consent_changed_at, changed_at)
),

consent_history as (
    select
        record_id,
        list(
            {
                'value': (not email_consent)::varchar, 'timestamp': iso("at"),
                'sourceType': 'CRM_UI', 'sourceId': 'userId:66001'
            } order by "at" desc, email_consent
        ) as optout,
        list(
            {
                'value': 'Freely given consent from contact', 'timestamp': iso("at"),
                'sourceType': 'FORM', 'sourceId': 'newsletter'
            } order by "at" desc
        ) filter (where email_consent) as basis
    from consents
    group by record_id
),

-- HubSpot holds the small companies; the large ones are Salesforce's
companies as (
    select *, 7000000000 + account_id as number
    from world.account
    where segment = 'smb' and happened(created_at, account_id)
),

contacts as (
    select
        n.* exclude (created_at),
        n.external_id::bigint as number,
        n.created_at,
        greatest(n.said_at, a.merged_at) as updated_at,
        case when n.state = 'archived' then n.changed_at end as archived_at,
        a.ids as merged_ids,
        a.dated as merged_vids,
        c.number as company,
        h.optout,
        h.basis
    from newest as n
    left join absorbed as a using (record_id)
    left join companies as c using (account_id)
    left join consent_history as h using (record_id)
    where n.state = 'live' or (n.state = 'archived' and n.changed_at > clock() - interval 90 days)
),

-- whom a record of the world is to HubSpot today: nobody where it is archived or erased
people as (
    select record_id, number, company from contacts where archived_at is null
    union all
    select m.loser, c.number, c.company
    from merges as m join contacts as c on c.record_id = m.winner and c.archived_at is null
),

stages as (
    select s.*, o.kind, 77000 + o.employee_id as owner
    from world.opportunity_stage as s
    join world.opportunity as o using (opportunity_id)
    where o.vendor = 'hubspot' and happened(o.created_at, o.opportunity_id) and happened(s.at, s.stage_event_id)
),

stage_words (kind, stage, word, probability) as (
    values
    ('opportunity', 'new', 'appointmentscheduled', '0.1'),
    ('opportunity', 'qualified', 'qualifiedtobuy', '0.25'),
    ('opportunity', 'proposal', 'presentationscheduled', '0.5'),
    ('opportunity', 'negotiation', 'contractsent', '0.75'),
    ('opportunity', 'won', 'closedwon', '1.0'),
    ('opportunity', 'lost', 'closedlost', '0.0'),
    ('lead', 'new', 'new-stage-id', '0.1'),
    ('lead', 'qualified', 'qualified-stage-id', '0.25'),
    ('lead', 'proposal', 'qualified-stage-id', '0.25'),
    ('lead', 'negotiation', 'qualified-stage-id', '0.25'),
    ('lead', 'won', 'qualified-stage-id', '1.0'),
    ('lead', 'lost', 'unqualified-stage-id', '0.0')
),

moves as (
    select *, lag(word) over (partition by opportunity_id order by "at", stage_event_id) as before
    from stages join stage_words using (kind, stage)
    qualify word is distinct from before
),

progress as (
    select
        opportunity_id,
        arg_max(word, ("at", stage_event_id)) as word,
        arg_max(probability, ("at", stage_event_id)) as probability,
        max("at") filter (where word = 'appointmentscheduled') as appointmentscheduled_at,
        max("at") filter (where word = 'qualifiedtobuy') as qualifiedtobuy_at,
        max("at") filter (where word = 'presentationscheduled') as presentationscheduled_at,
        max("at") filter (where word = 'contractsent') as contractsent_at,
        max("at") filter (where word = 'closedwon') as closedwon_at,
        max("at") filter (where word = 'closedlost') as closedlost_at,
        list(
            {
                'value': word, 'timestamp': iso("at"), 'sourceType': 'CRM_UI',
                'sourceId': 'userId:' || (owner - 11000), 'updatedByUserId': owner - 11000
            } order by "at" desc, stage_event_id desc
        ) as stage_history
    from moves
    group by opportunity_id
),

amounts as (
    select opportunity_id, arg_max(amount, ("at", stage_event_id)) as amount, max("at") as changed_at
    from stages
    group by opportunity_id
),

opportunities as (
    select
        o.*,
        case o.kind when 'lead' then 9500000000 else 9000000000 end + o.opportunity_id as number,
        p.* exclude (opportunity_id),
        a.amount,
        (a.amount * case when o.currency = 'EUR' then 1 else r.to_eur end)::decimal(18, 2) as home_amount,
        w.number as contact,
        c.number as company,
        greatest(o.created_at, a.changed_at) as updated_at,
        null::timestamptz as archived_at,
        77000 + o.employee_id as owner
    from world.opportunity as o
    join progress as p using (opportunity_id)
    join amounts as a using (opportunity_id)
    left join people as w using (record_id)
    left join companies as c using (account_id)
    asof left join world.exchange_rate as r on o.currency = r.currency and o.created_at::date >= r.day
    where o.vendor = 'hubspot'
),

ticket_changes as (
    select e.*
    from world.ticket_event as e
    join world.ticket as t using (ticket_id)
    where t.vendor = 'hubspot' and happened(e.at, e.ticket_event_id)
),

ticket_states as (
    select *, lag(word) over (partition by ticket_id order by "at", ticket_event_id) as before
    from (
        select
            *,
            case to_value when 'new' then '1' when 'pending' then '2' when 'solved' then '4' when 'closed' then '4' else '3' end as word
        from ticket_changes
        where field = 'status'
    )
    qualify word is distinct from before
),

ticket_stage as (
    select
        ticket_id,
        arg_max(word, ("at", ticket_event_id)) as stage,
        max("at") filter (where word = '4') as closed_at,
        list(
            {
                'value': word, 'timestamp': iso("at"),
                'sourceType': case actor when 'agent' then 'CRM_UI' when 'customer' then 'CONVERSATIONS' else 'AUTOMATION_PLATFORM' end,
                'sourceId': coalesce('userId:' || (66000 + employee_id), 'workflow'),
                'updatedByUserId': case actor when 'agent' then 66000 + employee_id end
            } order by "at" desc, ticket_event_id desc
        ) as stage_history
    from ticket_states
    group by ticket_id
),

-- other fields: what they were when the ticket was made, and every change
ticket_fields as (
    select
        ticket_id,
        arg_max(value, ("at", step)) filter (where field = 'priority') as priority,
        list({'value': value, 'timestamp': iso("at"), 'sourceType': 'CRM_UI', 'sourceId': 'ticket'} order by "at" desc, step desc)
            filter (where field = 'priority') as priority_history,
        arg_max(value, ("at", step)) filter (where field = 'assignee') as owner,
        list({'value': value, 'timestamp': iso("at"), 'sourceType': 'AUTOMATION_PLATFORM', 'sourceId': 'ticket'} order by "at" desc, step desc)
            filter (where field = 'assignee') as owner_history,
        arg_max(value, ("at", step)) filter (where field = 'support_group') as support_group
    from (
        select
            ticket_id, "at", ticket_event_id as step, field,
            case field when 'priority' then case to_value when 'normal' then 'MEDIUM' else upper(to_value) end when 'assignee' then (77000 + to_value::bigint)::varchar else to_value end as value
        from ticket_changes
        where field in ('priority', 'assignee', 'support_group')
        union all
        select t.ticket_id, t.created_at, 0, 'priority',
            case coalesce(f.from_value, t.priority) when 'normal' then 'MEDIUM' else upper(coalesce(f.from_value, t.priority)) end
        from world.ticket as t
        left join (
            select ticket_id, arg_min(from_value, ("at", ticket_event_id)) as from_value
            from ticket_changes where field = 'priority' group by ticket_id
        ) as f using (ticket_id)
        where t.vendor = 'hubspot'
    )
    group by ticket_id
),

ticket_ends as (  -- a merged ticket is closed by its merge
    select
        t.ticket_id,
        t.merged_into,
        case when t.merged_into is not null then max(e.at) filter (where e.field = 'status' and e.to_value in ('solved', 'closed')) end as merged_at,
        case when happened(t.deleted_at, t.ticket_id) then t.deleted_at end as archived_at,
        max(e.at) as changed_at
    from world.ticket as t
    left join ticket_changes as e using (ticket_id)
    where t.vendor = 'hubspot'
    group by t.ticket_id, t.merged_into, t.deleted_at
),

ticket_trail as (
    with recursive trail as (
        select ticket_id as loser, merged_into as winner, merged_at from ticket_ends where merged_at is not null
        union all
        select trail.loser, e.merged_into, trail.merged_at
        from trail join ticket_ends as e on e.ticket_id = trail.winner and e.merged_at is not null
    )
    select * from trail where winner not in (select ticket_id from ticket_ends where merged_at is not null)
),

-- every merge gives a new id: the old ones of the winner, and all those of the losers, are no more
ticket_merges as (
    select ticket_id, count(loser) as merges, max(t.merged_at) as merged_at
    from ticket_ends
    left join ticket_trail as t on t.winner = ticket_id
    group by ticket_id
),

ticket_aliases as (
    select winner, string_agg(id, ';' order by id) as ids
    from (
        select ticket_id as winner, unnest([(8000000000 + step * 100000000 + ticket_id)::varchar for step in range(merges)]) as id
        from ticket_merges
        union all
        select winner, (8000000000 + loser)::varchar from ticket_trail
    )
    group by winner
),

talk as (
    select
        m.ticket_id,
        max(m.at) as spoken_at,
        arg_min(m.body, (m.at, m.message_id)) as content,
        min(m.at) filter (where m.author = 'agent' and m.is_public) as replied_at
    from world.message as m
    join world.ticket as t using (ticket_id)
    where t.vendor = 'hubspot' and happened(m.at, m.message_id)
    group by m.ticket_id
),

tickets as (
    select
        t.* exclude (priority, support_group),
        8000000000 + g.merges * 100000000 + t.ticket_id as number,
        s.stage,
        s.stage_history,
        f.* exclude (ticket_id, support_group),
        coalesce(f.support_group, t.support_group) as support_group,
        case when s.stage = '4' then s.closed_at end as closed_at,
        k.content,
        k.replied_at,
        a.ids as merged_ids,
        w.number as contact,
        c.number as company,
        greatest(t.created_at, e.changed_at, k.spoken_at, g.merged_at) as updated_at,
        e.archived_at
    from world.ticket as t
    join ticket_ends as e using (ticket_id)
    join ticket_stage as s using (ticket_id)
    join ticket_fields as f using (ticket_id)
    join ticket_merges as g using (ticket_id)
    left join talk as k using (ticket_id)
    left join ticket_aliases as a on a.winner = t.ticket_id
    left join people as w using (record_id)
    left join companies as c using (account_id)
    where happened(t.created_at, t.ticket_id)
    and e.merged_at is null
    and (e.archived_at is null or e.archived_at > clock() - interval 90 days)
),

ticket_now as (  -- the id that a ticket of the world has today
    select ticket_id, number, contact, company from tickets where archived_at is null
    union all
    select m.loser, t.number, t.contact, t.company
    from ticket_trail as m join tickets as t on t.ticket_id = m.winner and t.archived_at is null
),

-- calls, meetings, tasks and e-mails; what is written in tickets are e-mails too, or notes
engagements as (
    select
        a.kind,
        40000000000 + a.activity_id as number,
        a.at as created_at,
        a.subject,
        null::varchar as body,
        a.direction = 'inbound' as inbound,
        a.outcome,
        a.duration_seconds,
        77000 + a.employee_id as owner,
        w.number as contact,
        w.company,
        o.number as deal,
        l.number as lead,
        null::bigint as ticket
    from world.activity as a
    left join people as w using (record_id)
    left join (select * from opportunities where kind = 'opportunity') as o using (opportunity_id)
    left join (select * from opportunities where kind = 'lead') as l on l.opportunity_id = a.opportunity_id
    where a.vendor = 'hubspot' and happened(a.at, a.activity_id)
    union all by name
    select
        case when m.is_public then 'email' else 'note' end as kind,
        60000000000 + m.message_id as number,
        m.at as created_at,
        t.subject,
        m.body,
        m.author = 'customer' as inbound,
        'sent' as outcome,
        null as duration_seconds,
        77000 + m.employee_id as owner,
        n.contact,
        n.company,
        null as deal,
        null as lead,
        n.number as ticket
    from world.message as m
    join world.ticket as t using (ticket_id)
    left join ticket_now as n using (ticket_id)
    where t.vendor = 'hubspot' and happened(m.at, m.message_id)
),

submissions as (
    select
        50000000000 + r.response_id as number,
        r.recorded_at as created_at,
        greatest(r.recorded_at, case when happened(r.completed_at, r.response_id) then r.completed_at end) as updated_at,
        null::timestamptz as archived_at,
        r.is_partial and not coalesce(happened(r.completed_at, r.response_id), false) as unfinished,
        r.* exclude (survey_id, person_id),
        s.survey_id,
        s.name,
        s.kind,
        s.question,
        w.number as contact,
        n.number as ticket,
        case when t.vendor = 'zendesk' then 5000 + t.ticket_id end as zendesk_ticket
    from world.survey_response as r
    join world.survey as s on s.survey_id = r.survey_id
    join world.survey_invitation as i using (invitation_id)
    left join people as w on w.record_id = i.record_id
    left join ticket_now as n on n.ticket_id = i.ticket_id
    left join world.ticket as t on t.ticket_id = i.ticket_id
    where s.vendor = 'hubspot'
    and happened(r.recorded_at, r.response_id)
    and not coalesce(happened(r.deleted_at, r.response_id), false)
)
