{#- What every survey measures and on which scale, by all that is known of it: what its tool says, the words
    and choices of its question and the answers themselves. Answers that name no survey are taken together by
    source and kind. A survey whose evidence contradicts itself is not trusted: its answers enter no score. -#}
with surveys as (
    select * from {{ ref('surveys') }}
),

ratings as (
    select * from {{ ref('int_survey__ratings') }}
),

answers as (
    select
        {{ survey_key_of('answers') }} as survey_key,
        min(source) as source,
        min(kind) as kind,
        case when min(scale_min) = max(scale_min) then min(scale_min) end as scale_min,
        case when min(scale_max) = max(scale_max) then min(scale_max) end as scale_max,
        min(scale_min) <> max(scale_min) or min(scale_max) <> max(scale_max) as has_mixed_scales,
        bool_and(is_reversed) as is_reversed,
        count(distinct source || ':' || response_id) as answers,
        min(score) as lowest_answer,
        max(score) as highest_answer,
        count(*) filter (where order_key is not null or ticket_key is not null) / count(*) as share_about_event
    from {{ ref('int_survey__responses') }} as answers
    group by all
),

invitations as (
    select
        survey_key,
        count(*) as invitations,
        count(*) filter (where order_key is not null or ticket_key is not null) / count(*) as share_about_event
    from {{ ref('survey_invitations') }}
    where survey_key is not null
    group by survey_key
),

known as (
    select
        coalesce(surveys.survey_key, answers.survey_key) as survey_key,
        coalesce(surveys.source, answers.source) as source,
        surveys.survey_id,
        surveys.name,
        surveys.survey_key is null as is_unregistered,
        surveys.kind as declared_kind,
        surveys.relation as declared_relation,
        coalesce(surveys.question, ratings.question) as question,
        coalesce(nullif(surveys.kind, 'other'), ratings.kind, answers.kind, surveys.kind) as stated_kind,
        coalesce(surveys.scale_min, ratings.scale_min, answers.scale_min) as stated_min,
        coalesce(surveys.scale_max, ratings.scale_max, answers.scale_max) as stated_max,
        coalesce(surveys.is_reversed, answers.is_reversed) as declared_reversed,
        coalesce(answers.has_mixed_scales, false) as has_mixed_scales,
        coalesce(answers.answers, 0) as answers,
        answers.lowest_answer,
        answers.highest_answer,
        coalesce(invitations.invitations, 0) as invitations,
        coalesce(invitations.share_about_event, answers.share_about_event) as share_about_event
    from surveys
    full join answers on surveys.survey_key = answers.survey_key
    left join ratings on surveys.survey_key = ratings.survey_key
    left join invitations on surveys.survey_key = invitations.survey_key
),

worded as (
    select
        *,
        list_transform({{ survey_kinds('question') }}, k -> k.kind) as worded_kinds,
        coalesce(regexp_matches(lower(question), '{{ workplace_wording() }}'), false) as is_about_work,
        coalesce(
            regexp_matches(lower(question), '{{ effort_wording() }}')
            and not regexp_matches(lower(question), '{{ ease_wording() }}'),
            false
        ) as asks_for_effort,
        try_cast(regexp_extract(question, '{{ scale_wording() }}', 1) as double) as worded_min,
        try_cast(regexp_extract(question, '{{ scale_wording() }}', 3) as double) as worded_max
    from known
),

told as (
    select
        * exclude (worded_min, worded_max),
        case when worded_max > worded_min then worded_min end as worded_min,
        case when worded_max > worded_min then worded_max end as worded_max,
        coalesce(declared_reversed, asks_for_effort) as is_reversed,
        case when stated_kind = 'nps' and is_about_work then 'enps' else stated_kind end as kind,
        coalesce(case when worded_max > worded_min then worded_min end, stated_min) as scale_min,
        coalesce(case when worded_max > worded_min then worded_max end, stated_max) as scale_max
    from worded
),

judged as (
    select
        *,
        {{ kind_on_scale('worded_kinds', 'is_about_work', 'is_reversed', 'scale_min', 'scale_max') }} as detected_kind,
        case
            when declared_relation is not null then declared_relation
            when share_about_event >= 0.5 then 'transactional'
            when share_about_event = 0 and kind in ('nps', 'enps') then 'relationship'
        end as relation,
        case
            when kind = 'other' then 'measures none of the known scores'
            when worded_min <> stated_min or worded_max <> stated_max
                then 'the question names another scale than the tool'
            when
                worded_kinds is not null
                and not list_contains(worded_kinds, case when kind = 'enps' then 'nps' else kind end)
                then 'the question asks for something else than the tool says'
            when has_mixed_scales then 'asked on several scales'
            {#- among a hundred answers nobody in the upper third: figures of a shorter scale #}
            when answers >= 100 and highest_answer <= case stated_max when 10 then 7 when 7 then 5 end
                then 'the answers are those of a shorter scale'
            when kind in ('nps', 'enps') and (stated_min <> 0 or stated_max <> 10) then 'not asked on 0 to 10'
            when kind = 'csat' and (stated_min <> 1 or stated_max <> 5) then 'not asked on 1 to 5'
            when kind = 'csat' and is_reversed then 'asked with the good answer low'
            when kind = 'ces' and stated_min = 1 and stated_max = 5 and is_reversed then null
            when kind = 'ces' and (stated_min <> 1 or stated_max <> 7) then 'not asked on 1 to 7'
            when kind = 'ces' and is_reversed then 'asked with the good answer low'
        end as problem
    from told
)

select
    survey_key,
    source,
    survey_id,
    name,
    is_unregistered,
    declared_kind,
    detected_kind,
    kind,
    relation,
    case when declared_relation is not null then 'declared' when relation is not null then 'detected' end
        as relation_source,
    question,
    scale_min,
    scale_max,
    is_reversed,
    case
        when kind = 'ces' and is_reversed and scale_min = 1 and scale_max = 5 then '1.0'
        when kind = 'ces' and not is_reversed and scale_min = 1 and scale_max = 7 then '2.0'
    end as ces_version,
    answers,
    invitations,
    lowest_answer,
    highest_answer,
    concat_ws(
        '; ',
        'tool: ' || coalesce(stated_kind, 'nothing')
        || coalesce(' on ' || cast(stated_min as int) || '-' || cast(stated_max as int), ''),
        'wording: ' || array_to_string(worded_kinds, ', '),
        'scale of the wording: ' || cast(worded_min as int) || '-' || cast(worded_max as int),
        'answers: ' || answers || coalesce(' from ' || lowest_answer || ' to ' || highest_answer, ''),
        case
            when kind in ('nps', 'enps') and stated_min = 0 and answers >= 200 and lowest_answer >= 1
                then 'no 0 among them'
        end
    ) as evidence,
    problem,
    problem is null as is_counted,
    {#- a scale that differs from answer to answer is judged answer by answer #}
    problem is null or has_mixed_scales as is_trusted
from judged
