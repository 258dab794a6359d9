with final as (
    select * from {{ ref('employees') }}
)

select {{ contract_columns() }} from final
