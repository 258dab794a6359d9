with refunds as (
    select *, {{ reporting_date('refunded_at') }} as refunded_on
    from {{ ref('refunds') }}
),

orders as (
    select
        order_key,
        currency,
        {{ person_reference(email='email') }} as record_key,
        {{ reporting_date('ordered_at') }} as ordered_on,
        {{ is_valid_order('status') }} as is_valid_order
    from {{ ref('orders') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

rates as (
    select * from {{ ref('int_finance__rates') }}
),

joined as (
    select
        refunds.* replace (coalesce(refunds.currency, orders.currency) as currency),
        assignments.customer_id,
        orders.currency as order_currency,
        orders.ordered_on,
        orders.is_valid_order
    from refunds
    left join orders on refunds.order_key = orders.order_key
    left join assignments on orders.record_key = assignments.record_key
),

final as (
    select
        joined.*,
        {{ converted(
            'joined.amount', 'joined.currency', 'joined.order_currency', 'on_refund.rate', 'of_order_on_refund.rate'
        ) }} as amount_in_order_currency,
        {{ in_reporting_currency('joined.amount', 'on_refund.rate') }} as amount_reporting,
        {{ in_reporting_currency('amount_in_order_currency', 'on_order.rate') }} as amount_reporting_at_order
    from joined
    left join rates as on_refund
        on
            joined.currency = on_refund.currency
            and joined.refunded_on >= on_refund.valid_from
            and joined.refunded_on < on_refund.valid_to
    left join rates as of_order_on_refund
        on
            joined.order_currency = of_order_on_refund.currency
            and joined.refunded_on >= of_order_on_refund.valid_from
            and joined.refunded_on < of_order_on_refund.valid_to
    left join rates as on_order
        on
            joined.order_currency = on_order.currency
            and joined.ordered_on >= on_order.valid_from
            and joined.ordered_on < on_order.valid_to
)

select {{ contract_columns() }} from final
