with orders as (
    select
        *,
        {{ person_reference(email='email') }} as record_key,
        {{ reporting_date('ordered_at') }} as ordered_on,
        {{ reporting_date('delivered_at') }} as delivered_on,
        status not in ('canceled', 'unavailable') as is_valid
    from {{ ref('orders') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

lines as (
    select
        order_key,
        count(*) as lines,
        sum(quantity) as units,
        sum(item_amount) as item_amount,
        sum(tax_amount) as tax_amount,
        sum(shipping_amount) as shipping_amount,
        count(distinct seller_account_key) as sellers
    from {{ ref('fct_order_lines') }}
    group by order_key
),

-- authorisations promise money, sales and captures move it: adding them up would count it twice
payments as (
    select order_key, sum(amount) as paid_amount, count(*) as payments
    from {{ ref('payments') }}
    where coalesce(kind, 'sale') in ('sale', 'capture') and coalesce(status, 'success') = 'success'
    group by order_key
),

refunds as (
    select order_key, sum(amount) as refunded_amount, min(refunded_at) as first_refunded_at
    from {{ ref('refunds') }}
    group by order_key
),

shipments as (
    select
        order_key,
        min(shipped_at) as shipped_at,
        max(delivered_at) as delivered_at,
        max(estimated_delivery_at) as estimated_delivery_at
    from {{ ref('fulfilments') }}
    group by order_key
),

joined as (
    select
        orders.* replace (
            coalesce(orders.shipped_at, shipments.shipped_at) as shipped_at,
            coalesce(orders.delivered_at, shipments.delivered_at) as delivered_at,
            coalesce(orders.estimated_delivery_at, shipments.estimated_delivery_at) as estimated_delivery_at,
            coalesce(orders.delivered_on, {{ reporting_date('shipments.delivered_at') }}) as delivered_on,
            coalesce(orders.discount_amount, 0) as discount_amount,
            coalesce(orders.shipping_amount, lines.shipping_amount, 0) as shipping_amount,
            coalesce(orders.tax_amount, lines.tax_amount, 0) as tax_amount
        ),
        assignments.customer_id,
        coalesce(lines.lines, 0) as lines,
        coalesce(lines.units, 0) as units,
        coalesce(lines.sellers, 0) as sellers,
        coalesce(lines.item_amount, 0) as item_amount,
        coalesce(payments.paid_amount, 0) as paid_amount,
        coalesce(payments.payments, 0) as payments,
        coalesce(refunds.refunded_amount, 0) as refunded_amount,
        refunds.first_refunded_at
    from orders
    left join assignments on orders.record_key = assignments.record_key
    left join lines on orders.order_key = lines.order_key
    left join payments on orders.order_key = payments.order_key
    left join refunds on orders.order_key = refunds.order_key
    left join shipments on orders.order_key = shipments.order_key
),

amounts as (
    select
        joined.* exclude (total_amount),
        -- a shop that gives no lines still says what the order cost
        case
            when joined.lines > 0 then joined.item_amount - joined.discount_amount
            else coalesce(joined.total_amount - joined.tax_amount - joined.shipping_amount, 0)
        end as revenue_amount,
        coalesce(
            joined.total_amount,
            joined.item_amount - joined.discount_amount + joined.tax_amount + joined.shipping_amount
        ) as total_amount,
        rates.rate as reporting_rate
    from joined
    left join {{ ref('int_finance__rates') }} as rates
        on
            joined.currency = rates.currency
            and joined.ordered_on >= rates.valid_from
            and joined.ordered_on < rates.valid_to
),

final as (
    select
        *,
        case
            when is_valid and customer_id is not null then row_number() over (
                partition by customer_id, is_valid order by ordered_at, order_key
            )
        end as customer_order_number,
        {{ in_reporting_currency('revenue_amount', 'reporting_rate') }} as revenue_reporting,
        {{ in_reporting_currency('total_amount', 'reporting_rate') }} as total_reporting,
        {{ in_reporting_currency('refunded_amount', 'reporting_rate') }} as refunded_reporting,
        case
            when delivered_at is not null and estimated_delivery_at is not null and status = 'delivered'
                then delivered_at > estimated_delivery_at
        end as is_late,
        date_diff('second', ordered_at, delivered_at) / 86400.0 as delivery_days
    from amounts
)

select {{ contract_columns() }} from final
