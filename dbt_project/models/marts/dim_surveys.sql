with final as (
    select * from {{ ref('int_survey__registry') }}
)

select {{ contract_columns() }} from final
