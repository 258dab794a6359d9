-- What SurveyMonkey's objects are made of: the relationship survey of the world, sent by e-mail in a
-- collector a month with a message a day, and an anonymous poll behind a web link.
with surveys as (
    select
        survey_id,
        (400000000 + survey_id)::varchar as sid,
        name as title,
        question,
        comment_question,
        scale_min,
        scale_max,
        created_at,
        -- its choices are made anew then: new ids, while old responses keep the old ones
        created_at + interval 200 days as edited_at
    from world.survey
    where vendor = 'surveymonkey' and happened(created_at, survey_id)
),

persons as (
    select *
    from world.record
    where vendor = 'surveymonkey' and happened(changed_at, record_id)
    qualify row_number() over (partition by record_id order by version desc) = 1
),

answered as (
    select
        r.*,
        s.sid,
        r.started_at >= s.edited_at as is_edited,
        not r.is_partial or coalesce(happened(r.completed_at, r.response_id), false) as is_complete,
        -- a partial answer that is finished later keeps its id and is modified then
        case
            when coalesce(happened(r.completed_at, r.response_id), false)
                then greatest(r.recorded_at, r.completed_at)
            else r.recorded_at
        end as modified_at
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
        (5500000000 + i.invitation_id)::varchar as rid,
        (90000000 + 100 * year(i.sent_at) + month(i.sent_at))::varchar as cid,
        strftime(i.sent_at, '7%Y%m%d') as mid,
        p.state = 'erased' as is_erased,
        p.first_name,
        p.last_name,
        case
            when a.is_complete then 'completely_responded'
            when not a.is_complete then 'partially_responded'
            else 'not_responded'
        end as response_status,
        case
            when i.status = 'bounced' then 'bounced'
            when i.status = 'opted_out' and happened(i.opened_at, i.invitation_id) then 'opted_out'
            when coalesce(happened(i.opened_at, i.invitation_id), false) then 'opened'
            else 'sent'
        end as mail_status,
        a.modified_at as answered_at
    from world.survey_invitation as i
    join surveys as s using (survey_id)
    left join persons as p using (record_id)
    left join (
        select invitation_id, any_value(is_complete) as is_complete, max(modified_at) as modified_at
        from answered
        group by invitation_id
    ) as a using (invitation_id)
    where happened(i.sent_at, i.invitation_id)
),

polled as (
    select
        n,
        '400000090' as sid,
        created_at + to_minutes(9000 * n + 7 * n * n % 600) as answered_at
    from (select min(created_at) + interval 30 days as created_at from surveys), range(1, 80) as t (n)
    where happened(answered_at, 'poll ' || n)
),

poll as (
    select '400000090' as sid, min(created_at) + interval 30 days as created_at from surveys
)
