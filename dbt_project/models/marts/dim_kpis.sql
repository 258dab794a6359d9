with final as (
    select * from {{ ref('kpis') }}
)

select {{ contract_columns() }} from final
