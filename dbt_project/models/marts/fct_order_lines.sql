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

priced as (
    select
        *,
        cast(coalesce(quantity, 1) as decimal(38, 4)) * coalesce(unit_price, 0) as gross_amount,
        cast(coalesce(quantity, 1) as decimal(38, 4)) * coalesce(unit_price, 0) - coalesce(discount_amount, 0)
            as charged_amount
    from lines
),

-- tax in prices that only the order states is that of its goods and its shipping, by amount
shares as (
    select
        goods.order_key,
        cast(orders.included_tax_amount as double) / goods.amount
        * (goods.amount - coalesce(orders.discount_amount, 0))
        / nullif(
            goods.amount - coalesce(orders.discount_amount, 0) + coalesce(orders.shipping_amount, goods.shipping, 0), 0
        ) as included_tax
    from (
        select
            order_key, cast(sum(charged_amount) as double) as amount, cast(sum(shipping_amount) as double) as shipping
        from priced
        group by order_key
        having count(included_tax_amount) = 0 and sum(charged_amount) > 0
    ) as goods
    inner join orders on goods.order_key = orders.order_key
    where orders.included_tax_amount > 0
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
        lines.gross_amount,
        lines.charged_amount,
        coalesce(lines.discount_amount, 0) as discount_amount,
        cast(
            coalesce(lines.included_tax_amount, lines.charged_amount * shares.included_tax, 0) as decimal(18, 4)
        ) as included_tax_amount,
        coalesce(lines.tax_amount, 0) as added_tax_amount,
        coalesce(lines.shipping_amount, 0) as shipping_amount,
        coalesce(orders.currency, lines.currency) as currency,
        orders.ordered_at,
        orders.ordered_on,
        {{ is_valid_order('orders.status') }} as is_valid_order
    from priced as lines
    left join orders on lines.order_key = orders.order_key
    left join shares on lines.order_key = shares.order_key
    left join assignments on orders.record_key = assignments.record_key
),

final as (
    select
        amounts.*,
        amounts.added_tax_amount + amounts.included_tax_amount as tax_amount,
        amounts.charged_amount - amounts.included_tax_amount as item_amount,
        {{ in_reporting_currency('amounts.charged_amount - amounts.included_tax_amount', 'rates.rate') }}
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
