{#- The rating question of every survey whose tool gives each answer apart: what it measures and on which
    scale. A scale is known by its choices, whole numbers in a row from 0 or 1, and what it measures by
    scale and wording together: a recommendation asked on 1-10 is no NPS. -#}
with questions as (
    select * from {{ ref('survey_questions') }}
),

surveys as (
    select survey_key, nullif(kind, 'other') as kind from {{ ref('surveys') }}
),

choices as (
    select
        survey_key,
        question_id,
        min(value) as lowest,
        max(value) as highest,
        count(value) >= 3
        and count(value) = max(value) - min(value) + 1
        and bool_and(value = round(value))
        and min(value) in (0, 1) as is_scale,
        count(number_in_text) * 2 >= count(*) as has_numbers,
        string_agg(text, ' ' order by value) as labels
    from (
        select
            survey_key,
            question_id,
            text,
            try_cast(regexp_extract(text, '^\s*(\d{1,2})\b', 1) as double) as number_in_text,
            coalesce(value, number_in_text) as value
        from {{ ref('survey_choices') }}
    ) as choices
    group by survey_key, question_id
),

candidates as (
    select
        questions.survey_key,
        questions.question_id,
        questions.text as question,
        questions.position,
        coalesce(questions.scale_min, case when choices.is_scale then choices.lowest end) as scale_min,
        coalesce(questions.scale_max, case when choices.is_scale then choices.highest end) as scale_max,
        coalesce(questions.kind, surveys.kind) as stated_kind,
        coalesce({{ survey_kinds('questions.text') }}, {{ survey_kinds('choices.labels') }}) as worded_kinds,
        questions.scale_min is not null or coalesce(choices.has_numbers, false) as is_numbered
    from questions
    left join choices
        on questions.survey_key = choices.survey_key and questions.question_id = choices.question_id
    left join surveys on questions.survey_key = surveys.survey_key
),

ratings as (
    select
        * exclude (worded_kinds),
        worded_kinds[1].kind as worded_kind,
        coalesce(
            stated_kind,
            list_filter(worded_kinds, w -> w.low = scale_min and w.high = scale_max)[1].kind,
            'other'
        ) as kind
    from candidates
    {#- some tools number the choices of any question: only words or figures make it a rating #}
    where scale_min < scale_max and (is_numbered or stated_kind is not null or worded_kinds is not null)
    qualify row_number() over (
        partition by survey_key
        order by kind = 'other', worded_kind is null, position nulls last, question_id
    ) = 1
),

written as (
    select submissions.survey_key, answers.question_id
    from {{ ref('survey_answers') }} as answers
    inner join {{ ref('survey_submissions') }} as submissions
        on answers.source = submissions.source and answers.response_id = submissions.response_id
    where answers.text is not null and answers.choice_id is null and answers.row_id is null
    group by submissions.survey_key, answers.question_id
),

comments as (
    select written.survey_key, written.question_id
    from written
    inner join questions
        on written.survey_key = questions.survey_key and written.question_id = questions.question_id
    left join choices
        on written.survey_key = choices.survey_key and written.question_id = choices.question_id
    where choices.question_id is null
    qualify row_number() over (
        partition by written.survey_key order by questions.position nulls last, written.question_id
    ) = 1
)

select
    ratings.survey_key,
    ratings.question_id,
    ratings.question,
    ratings.kind,
    ratings.worded_kind,
    ratings.scale_min,
    ratings.scale_max,
    comments.question_id as comment_question_id
from ratings
left join comments on ratings.survey_key = comments.survey_key
