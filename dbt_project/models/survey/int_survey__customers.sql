{#- What each customer was asked and said; newest answers first by time, then by key. -#}
with effort as (
    select * from {{ ref('int_survey__effort') }}
),

invitations as (
    select
        customer_id,
        count(*) as survey_invitations,
        max(sent_at) as last_invited_at
    from {{ ref('fct_survey_invitations') }}
    where customer_id is not null
    group by customer_id
),

answers as (
    select
        customer_id,
        count(*) as survey_responses,
        {% for kind, condition in [
            ('nps', 'nps_group is not null'), ('csat', 'is_satisfied is not null'), ('ces', 'is_easy is not null'),
        ] %}
        arg_max(score, (responded_at, response_key)) filter (
            where {{ condition }} and responded_at is not null
        ) as last_{{ kind }}_score,
        max(responded_at) filter (where {{ condition }}) as last_{{ kind }}_at,
        {% endfor %}
        arg_max(nps_group, (responded_at, response_key)) filter (
            where nps_group is not null and responded_at is not null
        ) as last_nps_group,
        avg(cast(score as decimal(18, 4))) filter (where is_satisfied is not null) as average_csat_score,
        max(responded_at) as last_responded_at,
        arg_max(comment, (responded_at, response_key)) filter (
            where comment is not null and responded_at is not null
        ) as last_comment
    from {{ ref('fct_survey_responses') }}
    where customer_id is not null
    group by customer_id
)

select
    effort.customer_id,
    coalesce(invitations.survey_invitations, 0) as survey_invitations,
    invitations.last_invited_at,
    coalesce(answers.survey_responses, 0) as survey_responses,
    answers.last_nps_score,
    answers.last_nps_group,
    answers.last_nps_at,
    answers.last_csat_score,
    answers.average_csat_score,
    answers.last_csat_at,
    answers.last_ces_score,
    answers.last_ces_at,
    answers.last_responded_at,
    answers.last_comment,
    effort.effort_index
from effort
left join invitations on effort.customer_id = invitations.customer_id
left join answers on effort.customer_id = answers.customer_id
