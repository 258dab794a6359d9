with final as (
    select * from {{ ref('surveys') }}
)

select {{ contract_columns() }} from final
