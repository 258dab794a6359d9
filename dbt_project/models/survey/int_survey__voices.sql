{#- One voice per person and period: of each person the newest answer of a kind, relationship and single
    events apart. An answer of nobody known is a voice of its own. -#}
with people as (
    select customer_id, is_test or is_employee as is_internal, coalesce(region, country) as region
    from {{ ref('customer_360') }}
),

answers as (
    select
        responses.*,
        coalesce(responses.relation, 'unknown') as known_relation,
        coalesce(responses.customer_id, responses.response_key) as person,
        coalesce(people.is_internal, false) as is_internal,
        people.region
    from {{ ref('int_survey__answers') }} as responses
    left join people on responses.customer_id = people.customer_id
    where responses.answer_value is not null and responses.responded_at is not null
),

periods as (
    select
        answers.* replace (answers.known_relation as relation),
        grains.period_grain,
        case
            when grains.period_grain <> 'all'
                then cast(date_trunc(grains.period_grain, answers.responded_on) as date)
        end as period_start
    from answers
    cross join (values ('month'), ('quarter'), ('year'), ('all')) as grains (period_grain)
),

final as (
    select
        *,
        concat_ws(' ', kind, relation, period_grain, cast(period_start as varchar), person) as voice_key,
        customer_id is not null as is_identified,
        count(*) over voice as answers_in_period
    from periods
    window
        voice as (partition by kind, relation, period_grain, period_start, person),
        newest_first as (voice order by responded_at desc, response_key desc)
    qualify row_number() over newest_first = 1
)

select * from final
