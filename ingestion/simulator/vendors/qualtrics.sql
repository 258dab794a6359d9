-- What Qualtrics' objects are made of: the survey after a purchase, sent order by order; a week's
-- sends are one distribution.
with surveys as (
    select
        survey_id,
        'SV_' || left(md5('survey ' || survey_id), 15) as sid,
        name,
        question,
        comment_question,
        scale_min,
        scale_max,
        created_at,
        -- its choices are made anew then: new ids, the values exported (recodes) stay
        created_at + interval 200 days as edited_at
    from world.survey
    where vendor = 'qualtrics' and happened(created_at, survey_id)
),

persons as (
    select *
    from world.record
    where vendor = 'qualtrics' and happened(changed_at, record_id)
    qualify row_number() over (partition by record_id order by version desc) = 1
),

customers as (
    select record_id, any_value(external_id) as customer_number
    from world.record
    where vendor = 'shopify'
    group by record_id
),

-- the shop makes a contact of who orders first, under the customer number it has then
references_ as (
    select i.record_id, arg_min(c.customer_number, (i.sent_at, i.invitation_id)) as reference
    from world.survey_invitation as i
    join surveys as s using (survey_id)
    left join world.orders as o using (order_id)
    left join customers as c on o.record_id = c.record_id
    where happened(i.sent_at, i.invitation_id)
    group by i.record_id
),

contacts as (
    select p.*, x.reference
    from persons as p
    left join references_ as x using (record_id)
),

answered as (
    select
        r.*,
        s.sid,
        'R_' || left(md5('response ' || r.response_id), 15) as rid,
        not r.is_partial or coalesce(happened(r.completed_at, r.response_id), false) as is_complete,
        -- somebody calls who was not content, and others now and then, and notes it in the response
        (r.score <= 2 or r.response_id % 3 = 0) and happened(r.recorded_at + interval 5 days, r.response_id) as is_followed_up
    from world.survey_response as r
    join surveys as s using (survey_id)
    where
        happened(r.recorded_at, r.response_id)
        and not coalesce(happened(r.deleted_at, r.response_id), false)
),

invited as (
    select
        i.*,
        s.sid,
        'EMD_' || left(md5('distribution ' || strftime(date_trunc('week', i.sent_at), '%Y%m%d')), 15) as did,
        'MLRP_' || left(md5('lookup ' || i.invitation_id), 15) as lookup_id,
        right(did, 15) || '_' || right(s.sid, 15) || '_' || lookup_id as link_id,
        c.state = 'erased' as is_erased,
        c.external_id as contact_id,
        c.first_name,
        c.last_name,
        c.reference,
        case when happened(i.opened_at, i.invitation_id) then i.opened_at end as seen_at,
        a.rid,
        a.started_at,
        a.is_complete,
        greatest(a.recorded_at, case when a.is_complete then a.completed_at end) as answered_at,
        case
            when a.is_complete then 'SurveyFinished'
            when a.rid is not null then 'SurveyPartiallyFinished'
            when i.status = 'bounced' then 'HardBounce'
            when seen_at is null then 'Success'
            when i.status = 'opted_out' then 'OptOut'
            else 'Opened'
        end as outcome
    from world.survey_invitation as i
    join surveys as s using (survey_id)
    left join contacts as c using (record_id)
    left join answered as a using (invitation_id)
    where happened(i.sent_at, i.invitation_id)
),

-- the research team looks at its own survey: a preview (status 1) or a test (2) every other month
tried as (
    select
        sid,
        1 + n % 2 as status,
        'R_' || left(md5('try ' || n), 15) as rid,
        created_at + to_days((40 * n)::int) + to_minutes((97 * n)::int) as tried_at,
        scale_min + n % (scale_max - scale_min + 1) as score
    from surveys, range(0, 40) as t (n)
    where happened(tried_at, 'try ' || n)
)
