with final as (
    select * from {{ ref('accounts') }}
)

select {{ contract_columns() }} from final
