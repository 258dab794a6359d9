-- What Mailchimp's objects are made of. A mailing is one campaign in one week: the sends of a series
-- that goes out day by day are one report there too.
with sends as (
    select
        s.*,
        s.campaign_id || '-' || strftime(date_trunc('week', s.sent_at), '%Y%m%d') as mailing,
        left(md5('campaign ' || mailing), 10) as cid,
        md5(lower(s.email)) as email_id
    from world.email_send as s
    where happened(s.sent_at, s.send_id)
),

activity as (
    select e.*, s.mailing, s.cid, s.email_id, s.email, s.record_id
    from world.email_event as e
    join sends as s using (send_id)
    where happened(e.at, e.event_id)
),

mailings as (
    select
        mailing,
        any_value(cid) as cid,
        any_value(campaign_id) as campaign_id,
        min(sent_at) as sent_at,
        count(*) as emails_sent,
        count(*) filter (where outcome = 'hard') as hard,
        count(*) filter (where outcome = 'soft') as soft
    from sends
    group by mailing
),

counts as (
    select
        mailing,
        count(*) filter (where kind = 'open') as opens,
        count(distinct send_id) filter (where kind = 'open') as unique_opens,
        count(distinct send_id) filter (where kind = 'open' and not is_machine) as human_opens,
        count(*) filter (where kind = 'open' and not is_machine) as human_opens_total,
        max("at") filter (where kind = 'open') as last_open,
        count(*) filter (where kind = 'click') as clicks,
        count(distinct send_id) filter (where kind = 'click') as unique_clicks,
        max("at") filter (where kind = 'click') as last_click,
        count(distinct send_id) filter (where kind = 'unsubscribe') as unsubscribed
    from activity
    group by mailing
),

versions as (
    select
        *,
        max(changed_at) over (partition by record_id) as last_change,
        min(created_at) over (partition by record_id) as first_change
    from world.record
    where vendor = 'mailchimp' and happened(changed_at, record_id)
    qualify row_number() over (partition by record_id order by version desc) = 1
),

bounced as (
    select record_id, min(sent_at) as bounced_at from sends where outcome = 'hard' group by record_id
),

behaviour as (
    select
        s.record_id,
        count(*) as received,
        count(distinct a.send_id) filter (where a.kind = 'open') as opened,
        count(distinct a.send_id) filter (where a.kind = 'click') as clicked
    from sends as s
    left join activity as a using (send_id)
    group by s.record_id
),

-- an address that changes is a new member; only `contact_id` tells that it is the same contact
links as (
    select old.record_id as older, old.merged_into as newer from versions as old where old.state = 'merged'
),

contacts as (
    with recursive chain as (
        select record_id, record_id as root from versions where record_id not in (select newer from links)
        union all
        select links.newer, chain.root from chain join links on chain.record_id = links.older
    )
    select record_id, min(root) as root from chain group by record_id
),

members as (
    select
        v.*,
        case
            when v.state = 'archived' then 'archived'
            when b.bounced_at is not null then 'cleaned'
            when v.email_consent then 'subscribed'
            when v.email_consent is null then 'transactional'
            else 'unsubscribed'
        end as status,
        greatest(v.last_change, b.bounced_at) as last_changed,
        h.received, h.opened, h.clicked,
        c.root
    from versions as v
    left join bounced as b using (record_id)
    left join behaviour as h using (record_id)
    left join contacts as c using (record_id)
    where v.state in ('live', 'archived')
)
