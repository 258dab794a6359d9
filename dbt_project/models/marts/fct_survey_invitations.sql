{#- What became of every invitation, in the terms of AAPOR. Where the tool says nothing of it, a mail to the
    same person that bounced or that was unsubscribed from within a day does. -#}
with invitations as (
    select *, {{ person_reference(email='email') }} as record_key from {{ ref('survey_invitations') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

surveys as (
    select survey_key, kind, relation from {{ ref('int_survey__registry') }}
),

-- an answer without a rating is one that was not finished
answers as (
    select invitation_key, bool_or(not coalesce(is_partial, false)) as is_complete, min(responded_at) as responded_at
    from (
        select invitation_key, is_partial, responded_at from {{ ref('survey_submissions') }}
        union all
        select invitation_key, is_partial, responded_at from {{ ref('survey_responses') }}
    ) as answers
    where invitation_key is not null
    group by invitation_key
),

attributed as (
    select
        invitations.*,
        surveys.kind,
        surveys.relation,
        assignments.customer_id,
        answers.is_complete,
        answers.responded_at,
        answers.invitation_key is not null as has_answer
    from invitations
    left join assignments on invitations.record_key = assignments.record_key
    left join surveys on invitations.survey_key = surveys.survey_key
    left join answers on invitations.invitation_key = answers.invitation_key
),

mails as (
    select assignments.customer_id, mails.kind, mails.occurred_at
    from (
        select {{ person_reference(email='email') }} as record_key, kind, occurred_at
        from {{ ref('campaign_events') }}
        where kind in ('bounced', 'unsubscribed')
    ) as mails
    inner join assignments on mails.record_key = assignments.record_key
),

signs as (
    select
        attributed.invitation_key,
        bool_or(mails.kind = 'bounced') as has_bounced,
        bool_or(mails.kind = 'unsubscribed') as has_unsubscribed
    from attributed
    inner join mails
        on
            attributed.customer_id = mails.customer_id
            and mails.occurred_at between attributed.sent_at and attributed.sent_at + interval 1 day
    where attributed.status is null and not attributed.has_answer
    group by attributed.invitation_key
),

final as (
    select
        attributed.*,
        {{ reporting_date('attributed.sent_at') }} as sent_on,
        case
            when attributed.is_complete or attributed.status = 'completed' then 'complete'
            when attributed.has_answer or attributed.status = 'partial' then 'partial'
            when attributed.status = 'bounced' or signs.has_bounced then 'unknown'
            when attributed.status = 'opted_out' or signs.has_unsubscribed then 'refused'
            else 'no answer'
        end as outcome,
        date_diff('second', attributed.sent_at, attributed.responded_at) / 86400.0 as days_to_respond,
        case
            when attributed.customer_id is not null
                then
                    date_diff('second', lag(attributed.sent_at) over person, attributed.sent_at) / 86400.0
        end as days_since_previous_invitation,
        case when attributed.customer_id is not null then row_number() over person end as invitation_number
    from attributed
    left join signs on attributed.invitation_key = signs.invitation_key
    window person as (partition by attributed.customer_id order by attributed.sent_at, attributed.invitation_key)
)

select {{ contract_columns() }} from final
