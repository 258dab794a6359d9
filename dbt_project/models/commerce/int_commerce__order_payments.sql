{#- What is known of the payments of an order, in its currency. Sales and captures move money; an
    authorisation promises it: adding both up would count it twice. -#}
with orders as (
    select order_key, currency, {{ reporting_date('ordered_at') }} as ordered_on
    from {{ ref('orders') }}
),

rates as (
    select * from {{ ref('int_finance__rates') }}
),

payments as (
    select
        payments.order_key,
        coalesce(payments.kind, 'sale') as kind,
        coalesce(payments.status, 'success') as status,
        coalesce(payments.installments, 1) as installments,
        payments.amount,
        coalesce(payments.currency, orders.currency) as currency,
        orders.currency as order_currency,
        coalesce({{ reporting_date('payments.paid_at') }}, orders.ordered_on) as paid_on
    from {{ ref('payments') }} as payments
    inner join orders on payments.order_key = orders.order_key
),

in_order_currency as (
    select
        payments.*,
        payments.kind in ('sale', 'capture') and payments.status = 'success' as has_moved_money,
        {{ converted('payments.amount', 'payments.currency', 'payments.order_currency', 'paid.rate', 'owed.rate') }}
            as order_amount
    from payments
    left join rates as paid
        on
            payments.currency = paid.currency
            and payments.paid_on >= paid.valid_from
            and payments.paid_on < paid.valid_to
    left join rates as owed
        on
            payments.order_currency = owed.currency
            and payments.paid_on >= owed.valid_from
            and payments.paid_on < owed.valid_to
)

select
    order_key,
    count(*) as attempts,
    count(*) filter (where has_moved_money) as payments,
    coalesce(sum(order_amount) filter (where has_moved_money), 0) as paid_amount,
    coalesce(max(installments) filter (where has_moved_money), 1) as installments,
    coalesce(bool_or(has_moved_money and currency <> order_currency), false) as has_other_currency,
    count(*) filter (where has_moved_money and order_amount is null) as payments_without_rate,
    coalesce(bool_or(kind = 'authorization' and status = 'success'), false) as is_authorized,
    coalesce(bool_or(kind = 'void' and status = 'success'), false) as is_voided,
    coalesce(bool_or(kind in ('sale', 'capture') and status = 'pending'), false) as is_pending
from in_order_currency
group by order_key
