with margin as (
    select
        cast(sum(revenue_reporting - cost_reporting) as double)
        / nullif(cast(sum(revenue_reporting) as double), 0) as gross_margin
    from {{ ref('int_commerce__purchases') }}
    where cost_reporting is not null and revenue_reporting is not null
),

final as (
    select
        forecasts.customer_id,
        forecasts.p_alive,
        forecasts.expected_purchases as expected_purchases_12_months,
        forecasts.expected_order_value as expected_order_value_reporting,
        forecasts.expected_revenue as expected_revenue_12_months_reporting,
        forecasts.expected_revenue * margin.gross_margin as clv_12_months_reporting
    from {{ ref('int_commerce__lifetime_values') }} as forecasts
    cross join margin
)

select {{ contract_columns() }} from final
