-- Order by order: what was charged, taken off, paid and given back by the records of the systems is what the
-- facts say, to the cent, and where the records of an order do not add up it is listed as a difference.
with lines as (
    select
        order_key,
        sum(
            cast(coalesce(quantity, 1) as decimal(38, 4)) * coalesce(unit_price, 0) - coalesce(discount_amount, 0)
        ) as goods,
        sum(tax_amount) as tax,
        sum(shipping_amount) as shipping,
        coalesce(sum(included_tax_amount), 0) as included_tax
    from {{ ref('order_lines') }}
    group by order_key
),

orders as (
    select
        orders.order_key,
        orders.currency,
        orders.total_amount,
        lines.goods,
        coalesce(orders.discount_amount, 0) as discount,
        coalesce(orders.tax_amount, lines.tax, 0) as tax,
        coalesce(orders.shipping_amount, lines.shipping, 0) as shipping,
        coalesce(orders.included_tax_amount, 0) > 0 or coalesce(lines.included_tax, 0) > 0 as has_tax_in_prices
    from {{ ref('orders') }} as orders
    left join lines on orders.order_key = lines.order_key
),

-- what was paid or given back in another currency is worth something, how much is for the rates to say
{% set moved = {
    'payments': "coalesce(moved.kind, 'sale') in ('sale', 'capture') and coalesce(moved.status, 'success') = 'success'",
    'refunds': 'true',
} %}
{% for name, has_moved in moved.items() %}
{{ name }} as (
    select
        orders.order_key,
        sum(moved.amount) filter (where coalesce(moved.currency, orders.currency) = orders.currency) as amount,
        coalesce(bool_or(coalesce(moved.currency, orders.currency) <> orders.currency), false) as has_other_currency
    from {{ ref(name) }} as moved
    inner join orders on moved.order_key = orders.order_key
    where {{ has_moved }}
    group by orders.order_key
),

{% endfor %}
told as (
    select
        orders.*,
        goods - discount + tax + shipping as due,
        coalesce(payments.amount, 0) as paid,
        coalesce(payments.has_other_currency, false) as is_paid_in_other_currency,
        coalesce(refunds.amount, 0) as refunded,
        coalesce(refunds.has_other_currency, false) as is_refunded_in_other_currency
    from orders
    left join payments on orders.order_key = payments.order_key
    left join refunds on orders.order_key = refunds.order_key
),

compared as (
    select
        told.*,
        facts.revenue_amount + facts.tax_amount + facts.shipping_amount as fact_due,
        facts.discount_amount as fact_discount,
        facts.tax_amount - facts.included_tax_amount as fact_tax,
        facts.shipping_amount as fact_shipping,
        facts.included_tax_amount as fact_included_tax,
        facts.paid_amount as fact_paid,
        facts.refunded_amount as fact_refunded,
        told.order_key in (
            select order_key from {{ ref('order_money_differences') }} where rule <> 'refunded and paid'
        ) as is_listed
    from told
    left join {{ ref('fct_orders') }} as facts on told.order_key = facts.order_key
),

findings as (
    select order_key, 'goods, tax and shipping' as what, due as expected, fact_due as actual
    from compared
    where due is not null and due is distinct from fact_due
    union all
    select order_key, 'discount', discount, fact_discount from compared where discount is distinct from fact_discount
    union all
    select order_key, 'tax on top', tax, fact_tax from compared where tax is distinct from fact_tax
    union all
    select order_key, 'tax in prices', 0, fact_included_tax
    from compared
    where not has_tax_in_prices and fact_included_tax is distinct from 0
    union all
    select order_key, 'shipping', shipping, fact_shipping
    from compared
    where
        case
            when has_tax_in_prices then not coalesce(fact_shipping between 0 and shipping, false)
            else shipping is distinct from fact_shipping
        end
    union all
    select order_key, 'paid', paid, fact_paid
    from compared
    where
        case
            when is_paid_in_other_currency then not coalesce(fact_paid >= paid, false)
            else paid is distinct from fact_paid
        end
    union all
    select order_key, 'refunded', refunded, fact_refunded
    from compared
    where
        case
            when is_refunded_in_other_currency then not coalesce(fact_refunded >= refunded, false)
            else refunded is distinct from fact_refunded
        end
    union all
    select order_key, 'a difference that is not listed', due, paid
    from compared
    where not is_listed and not is_paid_in_other_currency and due <> paid
    union all
    select order_key, 'listed without a difference', due, paid
    from compared
    where is_listed and not is_paid_in_other_currency and due = paid and coalesce(total_amount, due) = due
)

select what, order_key as found, cast(expected as varchar) as expected, cast(actual as varchar) as actual
from findings
