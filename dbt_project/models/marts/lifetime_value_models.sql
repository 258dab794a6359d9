with final as (
    select
        *,
        cutoff = {{ reporting_date(as_of()) }} as is_current,
        predicted_purchases / nullif(actual_purchases, 0) as predicted_to_actual
    from {{ ref('int_commerce__lifetime_models') }}
)

select {{ contract_columns() }} from final
