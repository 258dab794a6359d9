with lines as (
    select * from {{ ref('order_lines') }}
),

orders as (
    select
        *,
        {{ person_reference(email='email') }} as record_key,
        {{ reporting_date('ordered_at') }} as ordered_on
    from {{ ref('orders') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

amounts as (
    select
        lines.order_line_key,
        lines.order_key,
        assignments.customer_id,
        lines.product_key,
        lines.seller_account_key,
        lines.source,
        cast(coalesce(lines.quantity, 1) as decimal(38, 4)) as quantity,
        lines.unit_price,
        cast(coalesce(lines.quantity, 1) as decimal(38, 4)) * coalesce(lines.unit_price, 0) as gross_amount,
        coalesce(lines.discount_amount, 0) as discount_amount,
        coalesce(lines.tax_amount, 0) as tax_amount,
        coalesce(lines.shipping_amount, 0) as shipping_amount,
        coalesce(orders.currency, lines.currency) as currency,
        orders.ordered_at,
        orders.ordered_on,
        orders.status not in ('canceled', 'unavailable') as is_valid_order
    from lines
    left join orders on lines.order_key = orders.order_key
    left join assignments on orders.record_key = assignments.record_key
),

final as (
    select
        amounts.*,
        amounts.gross_amount - amounts.discount_amount as item_amount,
        {{ in_reporting_currency('amounts.gross_amount - amounts.discount_amount', 'rates.rate') }}
            as item_amount_reporting,
        {{ in_reporting_currency('amounts.shipping_amount', 'rates.rate') }} as shipping_amount_reporting
    from amounts
    left join {{ ref('int_finance__rates') }} as rates
        on
            amounts.currency = rates.currency
            and amounts.ordered_on >= rates.valid_from
            and amounts.ordered_on < rates.valid_to
)

select {{ contract_columns() }} from final
