{#- Answers of employees about their place of work are told as a score only: see survey_score_changes. -#}
with final as (
    select * from {{ ref('int_survey__answers') }} where kind <> 'enps'
)

select {{ contract_columns() }} from final
