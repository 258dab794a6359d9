{#- One row per response, scored. A response about several orders has several rows in its source; where they
    disagree on a date, the one that has it counts. -#}
with answers as (
    select
        *,
        source || ':' || response_id as response_key,
        {{ person_reference(email='email') }} as record_key
    from {{ ref('int_survey__responses') }}
),

orders as (
    select order_key, customer_id from {{ ref('fct_orders') }}
),

tickets as (
    select ticket_key, customer_id from {{ ref('fct_tickets') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

surveys as (
    select survey_key, kind, relation, is_reversed, is_trusted from {{ ref('int_survey__registry') }}
),

attributed as (
    select
        answers.* replace (
            {{ survey_key_of('answers') }} as survey_key,
            assignments.record_key as record_key,
            case when surveys.kind = 'enps' then 'enps' else answers.kind end as kind,
            coalesce(answers.is_reversed, surveys.is_reversed) as is_reversed
        ),
        coalesce(surveys.is_trusted, true) as is_trusted,
        coalesce(assignments.customer_id, orders.customer_id, tickets.customer_id) as customer_id,
        surveys.relation
    from answers
    left join assignments on answers.record_key = assignments.record_key
    left join orders on answers.order_key = orders.order_key
    left join tickets on answers.ticket_key = tickets.ticket_key
    left join surveys on {{ survey_key_of('answers') }} = surveys.survey_key
),

responses as (
    select
        response_key,
        min(source) as source,
        min(response_id) as response_id,
        min(customer_id) as customer_id,
        arg_min(record_key, customer_id) as record_key,
        min(survey_key) as survey_key,
        min(invitation_key) as invitation_key,
        bool_and(is_trusted) as is_trusted,
        min(kind) as kind,
        min(relation) as relation,
        arg_max(score, survey_response_key) as score,
        arg_max(scale_min, survey_response_key) as scale_min,
        arg_max(scale_max, survey_response_key) as scale_max,
        coalesce(bool_or(is_reversed), false) as is_reversed,
        coalesce(bool_and(is_partial), false) as is_partial,
        min(order_key) as order_key,
        min(ticket_key) as ticket_key,
        count(distinct order_key) as orders_covered,
        min(channel) as channel,
        min(language) as language,
        max(comment_title) as comment_title,
        max(comment) as comment,
        min(invited_at) as invited_at,
        max(responded_at) as responded_at
    from attributed
    group by response_key
),

scored as (
    select
        *,
        {{ reporting_date('responded_at') }} as responded_on,
        date_diff('second', invited_at, responded_at) / 86400.0 as days_to_respond,
        case
            when kind in ('nps', 'enps') and is_trusted and scale_min = 0 and scale_max = 10 then
                case when score >= 9 then 'promoter' when score >= 7 then 'passive' else 'detractor' end
        end as recommendation,
        case
            when kind = 'csat' and is_trusted and scale_min = 1 and scale_max = 5 and not is_reversed then score >= 4
        end as is_satisfied,
        case
            when kind = 'ces' and is_trusted and scale_min = 1 and scale_max = 7 and not is_reversed then '2.0'
            when kind = 'ces' and is_trusted and scale_min = 1 and scale_max = 5 and is_reversed then '1.0'
        end as ces_version
    from responses
),

final as (
    select
        *,
        case when kind = 'nps' then recommendation end as nps_group,
        case when ces_version = '2.0' then score >= 5 end as is_easy,
        case
            when recommendation is not null
                then case recommendation when 'promoter' then 1 when 'detractor' then -1 else 0 end
            when kind = 'csat' then is_satisfied::int
            when ces_version = '2.0' then (score >= 5)::int
        end as answer_value
    from scored
)

select * from final
