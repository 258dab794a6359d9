{#- All answers to surveys: those that a tool gives with their score, and those scored here out of the
    answers to single questions. -#}
with submissions as (
    select * from {{ ref('survey_submissions') }}
),

ratings as (
    select * from {{ ref('int_survey__ratings') }}
),

answers as (
    select
        submissions.survey_key,
        answers.source,
        answers.response_id,
        answers.question_id,
        answers.row_id,
        answers.text,
        coalesce(
            choices.value,
            try_cast(regexp_extract(choices.text, '^\s*(\d{1,2})\b', 1) as double),
            answers.value
        ) as value
    from {{ ref('survey_answers') }} as answers
    inner join submissions
        on answers.source = submissions.source and answers.response_id = submissions.response_id
    left join {{ ref('survey_choices') }} as choices
        on
            submissions.survey_key = choices.survey_key
            and answers.question_id = choices.question_id
            and answers.choice_id = choices.choice_id
),

scores as (
    select
        answers.source,
        answers.response_id,
        arg_min(answers.value, coalesce(answers.row_id, '')) as score
    from answers
    inner join ratings
        on
            answers.survey_key = ratings.survey_key
            and answers.question_id = ratings.question_id
            and answers.value between ratings.scale_min and ratings.scale_max
    group by answers.source, answers.response_id
),

comments as (
    select answers.source, answers.response_id, min(answers.text) as comment
    from answers
    inner join ratings
        on answers.survey_key = ratings.survey_key and answers.question_id = ratings.comment_question_id
    group by answers.source, answers.response_id
),

invitations as (
    select invitation_key, person_record_key, email, order_key, ticket_key, sent_at
    from {{ ref('survey_invitations') }}
),

scored as (
    select
        submissions.survey_submission_key as survey_response_key,
        submissions.source,
        submissions.response_id,
        submissions.survey_key,
        submissions.invitation_key,
        coalesce(submissions.person_record_key, invitations.person_record_key) as person_record_key,
        coalesce(submissions.email, invitations.email) as email,
        coalesce(submissions.order_key, invitations.order_key) as order_key,
        coalesce(submissions.ticket_key, invitations.ticket_key) as ticket_key,
        ratings.kind,
        scores.score,
        ratings.scale_min,
        ratings.scale_max,
        submissions.is_partial,
        submissions.channel,
        submissions.language,
        comments.comment,
        invitations.sent_at as invited_at,
        submissions.responded_at,
        submissions.source_timezone,
        submissions.extracted_at
    from submissions
    inner join ratings on submissions.survey_key = ratings.survey_key
    inner join scores
        on submissions.source = scores.source and submissions.response_id = scores.response_id
    left join comments
        on submissions.source = comments.source and submissions.response_id = comments.response_id
    left join invitations on submissions.invitation_key = invitations.invitation_key
)

select * from {{ ref('survey_responses') }}
union all by name
select * from scored
