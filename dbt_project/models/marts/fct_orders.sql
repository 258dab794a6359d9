{#- parcels say nothing of what was not sent yet -#}
{% set arrived %}
case when orders.status not in ('created', 'approved', 'invoiced', 'processing') then shipments.delivered_at end
{%- endset %}
with orders as (
    select
        *,
        {{ person_reference(email='email') }} as record_key,
        {{ reporting_date('ordered_at') }} as ordered_on,
        {{ reporting_date('delivered_at') }} as delivered_on,
        {{ is_valid_order('status') }} as is_valid
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
        sum(tax_amount) - coalesce(sum(included_tax_amount), 0) as added_tax_amount,
        coalesce(sum(included_tax_amount), 0) as included_tax_amount,
        sum(shipping_amount) as shipping_amount,
        count(distinct seller_account_key) as sellers
    from {{ ref('fct_order_lines') }}
    group by order_key
),

payments as (
    select * from {{ ref('int_commerce__order_payments') }}
),

refunds as (
    select
        order_key,
        sum(amount_in_order_currency) as refunded_amount,
        sum(amount_reporting) as refunded_reporting_at_refund,
        min(refunded_at) as first_refunded_at
    from {{ ref('fct_refunds') }}
    group by order_key
),

shipments as (
    select
        order_key,
        min(shipped_at) as shipped_at,
        -- with its last parcel
        case when count(*) = count(delivered_at) then max(delivered_at) end as delivered_at,
        max(estimated_delivery_at) as estimated_delivery_at
    from {{ ref('fulfilments') }}
    group by order_key
),

joined as (
    select
        orders.* replace (
            coalesce(orders.shipped_at, shipments.shipped_at) as shipped_at,
            case
                when
                    orders.status = 'delivered' and orders.delivered_at is null
                    and shipments.order_key is not null and shipments.delivered_at is null
                    then 'shipped'
                else orders.status
            end as status,
            coalesce(orders.delivered_at, {{ arrived }}) as delivered_at,
            coalesce(orders.estimated_delivery_at, shipments.estimated_delivery_at) as estimated_delivery_at,
            coalesce(orders.delivered_on, {{ reporting_date(arrived) }}) as delivered_on,
            coalesce(orders.discount_amount, 0) as discount_amount,
            coalesce(orders.shipping_amount, lines.shipping_amount, 0) as shipping_amount,
            coalesce(orders.tax_amount, lines.added_tax_amount, 0) as tax_amount,
            coalesce(orders.included_tax_amount, lines.included_tax_amount, 0) as included_tax_amount
        ),
        lines.included_tax_amount as lines_included_tax_amount,
        assignments.customer_id,
        coalesce(lines.lines, 0) as lines,
        coalesce(lines.units, 0) as units,
        coalesce(lines.sellers, 0) as sellers,
        coalesce(lines.item_amount, 0) as item_amount,
        coalesce(payments.paid_amount, 0) as paid_amount,
        coalesce(payments.payments, 0) as payments,
        coalesce(payments.attempts, 0) as payment_attempts,
        coalesce(payments.installments, 1) as installments,
        coalesce(payments.has_other_currency, false) as is_paid_in_other_currency,
        coalesce(payments.payments_without_rate, 0) as payments_without_rate,
        coalesce(payments.is_authorized, false) as is_authorized,
        coalesce(payments.is_voided, false) as is_voided,
        coalesce(payments.is_pending, false) as is_pending,
        coalesce(refunds.refunded_amount, 0) as refunded_amount,
        coalesce(refunds.refunded_reporting_at_refund, 0) as refunded_reporting_at_refund,
        refunds.first_refunded_at
    from orders
    left join assignments on orders.record_key = assignments.record_key
    left join lines on orders.order_key = lines.order_key
    left join payments on orders.order_key = payments.order_key
    left join refunds on orders.order_key = refunds.order_key
    left join shipments on orders.order_key = shipments.order_key
),

-- tax in prices that is not in those of the lines is in what shipping costs
taxed as (
    select
        joined.* exclude (included_tax_amount),
        case
            when joined.lines > 0
                then
                    greatest(
                        0, least(joined.included_tax_amount - joined.lines_included_tax_amount, joined.shipping_amount)
                    )
            else coalesce(cast(
                joined.included_tax_amount * cast(joined.shipping_amount as double)
                / nullif(cast(joined.total_amount - joined.tax_amount as double), 0) as decimal(18, 4)
            ), 0)
        end as included_tax_of_shipping,
        case
            when joined.lines > 0 then joined.lines_included_tax_amount + included_tax_of_shipping
            else joined.included_tax_amount
        end as included_tax_amount
    from joined
),

parted as (
    select
        * exclude (included_tax_of_shipping, lines_included_tax_amount) replace (
            shipping_amount - included_tax_of_shipping as shipping_amount,
            tax_amount + included_tax_amount as tax_amount
        )
    from taxed
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
        case
            when joined.lines > 0
                then joined.item_amount - joined.discount_amount + joined.tax_amount + joined.shipping_amount
        end as parts_amount,
        joined.total_amount is not null as has_stated_total,
        rates.rate as reporting_rate
    from parted as joined
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
        date_diff('second', ordered_at, delivered_at) / 86400.0 as delivery_days,
        {{ reporting_date('estimated_delivery_at') }} as promised_on,
        -- what has not arrived in time is late, whether or not it will ever arrive
        case
            when is_valid and estimated_delivery_at < {{ as_of() }}
                then coalesce(delivered_at > estimated_delivery_at, true)
        end as has_missed_promise,
        paid_amount - total_amount as paid_difference,
        total_amount - parts_amount as parts_difference,
        case
            when paid_amount = total_amount then null
            when payments_without_rate > 0 then 'no exchange rate for a payment'
            when paid_amount = 0 and not is_valid then 'canceled before it was paid'
            when paid_amount = 0 and is_pending then 'payment pending'
            when paid_amount = 0 and is_voided then 'authorization voided'
            when paid_amount = 0 and is_authorized then 'authorized, not yet captured'
            when paid_amount = 0 and payment_attempts = 0 then 'no payment known'
            when paid_amount = 0 then 'payment failed'
            when lines = 0 and not has_stated_total then 'no lines known'
            when is_paid_in_other_currency then 'paid in another currency'
            when abs(paid_amount - total_amount) <= 0.05 then 'rounding'
            when paid_amount > total_amount and installments > 1 then 'interest of instalments'
            when paid_amount < total_amount then 'paid in part'
            else 'paid more than the total'
        end as paid_difference_cause,
        case
            when total_amount = parts_amount then null
            when parts_amount is null then 'no lines known'
            when abs(total_amount - parts_amount) <= 0.05 then 'rounding'
            else 'the stated total is not the sum of its parts'
        end as parts_difference_cause
    from amounts
)

select {{ contract_columns() }} from final
