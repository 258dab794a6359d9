with final as (
    select
        *,
        {{ reporting_date('started_at') }} as started_on
    from {{ ref('int_service__contacts') }}
)

select {{ contract_columns() }} from final
