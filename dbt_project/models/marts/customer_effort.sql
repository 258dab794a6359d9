with final as (
    select * from {{ ref('int_survey__effort') }}
)

select {{ contract_columns() }} from final
