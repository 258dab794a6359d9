-- What was sold, charged, paid and given back by the records of the systems arrives in the orders to the
-- cent, and every order in which paid is not goods - discount + tax + shipping is listed as a difference.
with known as (
    select * from {{ ref('orders') }}
),

records as (
    select
        'goods' as what, sum(
            cast(coalesce(lines.quantity, 1) as decimal(38, 4)) * coalesce(lines.unit_price, 0)
            - coalesce(lines.discount_amount, 0)
        ) as amount
    from {{ ref('order_lines') }} as lines
    inner join known on lines.order_key = known.order_key
    union all
    select 'discount', sum(discount_amount) from known
    union all
    select 'paid', sum(payments.amount)
    from {{ ref('payments') }} as payments
    inner join known on payments.order_key = known.order_key
    where
        coalesce(payments.kind, 'sale') in ('sale', 'capture') and coalesce(payments.status, 'success') = 'success'
        and coalesce(payments.currency, known.currency) = known.currency
    union all
    select 'refunded', sum(refunds.amount)
    from {{ ref('refunds') }} as refunds
    inner join known on refunds.order_key = known.order_key
    where coalesce(refunds.currency, known.currency) = known.currency
),

facts as (
    select 'goods' as what, sum(item_amount) as amount from {{ ref('fct_orders') }}
    union all
    select 'discount', sum(discount_amount) from {{ ref('fct_orders') }}
    union all
    select 'paid', sum(fct_orders.paid_amount)
    from {{ ref('fct_orders') }} as fct_orders
    left join {{ ref('int_commerce__order_payments') }} as payments on fct_orders.order_key = payments.order_key
    where not coalesce(payments.has_other_currency, false)
    union all
    select 'refunded', sum(refunds.amount)
    from {{ ref('fct_refunds') }} as refunds
    where refunds.currency = refunds.order_currency
),

listed as (
    select order_key, sum(difference) filter (where rule <> 'refunded and paid') as difference
    from {{ ref('order_money_differences') }}
    group by order_key
)

select records.what as found, cast(records.amount as varchar) as expected, cast(facts.amount as varchar) as actual
from records
inner join facts on records.what = facts.what
where coalesce(records.amount, 0) <> coalesce(facts.amount, 0)
union all
select
    orders.order_key, cast(orders.parts_amount - orders.refunded_amount + coalesce(listed.difference, 0) as varchar),
    cast(orders.paid_amount - orders.refunded_amount as varchar)
from {{ ref('fct_orders') }} as orders
left join listed on orders.order_key = listed.order_key
where
    orders.parts_amount - orders.refunded_amount + coalesce(listed.difference, 0)
    <> orders.paid_amount - orders.refunded_amount
