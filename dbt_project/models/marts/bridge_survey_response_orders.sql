with final as (
    select
        answers.source || ':' || answers.response_id as response_key,
        answers.order_key,
        responses.customer_id,
        responses.kind,
        answers.score,
        responses.is_satisfied,
        responses.responded_on
    from {{ ref('int_survey__responses') }} as answers
    inner join {{ ref('fct_survey_responses') }} as responses
        on answers.source || ':' || answers.response_id = responses.response_key
    where answers.order_key is not null
    qualify row_number() over (
        partition by answers.source, answers.response_id, answers.order_key
        order by answers.survey_response_key desc
    ) = 1
)

select {{ contract_columns() }} from final
