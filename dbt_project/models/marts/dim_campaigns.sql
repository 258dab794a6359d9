with final as (
    select * from {{ ref('campaigns') }}
)

select {{ contract_columns() }} from final
