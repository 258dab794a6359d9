{#- Valid orders of known customers who are neither tests nor employees, in the order of each customer. -#}
with orders as (
    select * from {{ ref('fct_orders') }}
    where
        is_valid and customer_id is not null
        and customer_id not in (select customer_id from {{ ref('int_commerce__internal_customers') }})
),

costs as (
    select
        lines.order_key,
        case
            when count(*) = count(products.unit_cost) and count(*) = count(rates.rate)
                then sum({{ in_reporting_currency('lines.quantity * products.unit_cost', 'rates.rate') }})
        end as cost_reporting
    from {{ ref('fct_order_lines') }} as lines
    left join {{ ref('products') }} as products on lines.product_key = products.product_key
    left join {{ ref('int_finance__rates') }} as rates
        on
            coalesce(products.currency, lines.currency) = rates.currency
            and lines.ordered_on >= rates.valid_from
            and lines.ordered_on < rates.valid_to
    group by lines.order_key
)

select
    orders.order_key,
    orders.customer_id,
    orders.source,
    orders.account_key,
    orders.ordered_at,
    orders.ordered_on,
    cast(date_trunc('month', orders.ordered_on) as date) as month_start,
    orders.customer_order_number,
    lead(orders.ordered_on) over customers as next_on,
    orders.ordered_on - lag(orders.ordered_on) over customers as gap_days,
    orders.revenue_reporting,
    -- a refund may give back tax and shipping too: its share in what the goods were of the total
    coalesce(
        cast(
            cast(orders.refunded_reporting as double) * cast(orders.revenue_amount as double)
            / nullif(cast(orders.total_amount as double), 0) as decimal(18, 4)
        ),
        0
    ) as refunded_goods_reporting,
    costs.cost_reporting
from orders
left join costs on orders.order_key = costs.order_key
window customers as (partition by orders.customer_id order by orders.customer_order_number)
