with buyers as (
    select
        orders.customer_id,
        cast(date_trunc('month', orders.ordered_on) as date) as period_start,
        count(*) as orders,
        max(orders.customer_order_number) as last_order_number
    from {{ ref('fct_orders') }} as orders
    inner join {{ ref('customer_360') }} as customers on orders.customer_id = customers.customer_id
    where orders.is_valid and orders.ordered_on is not null and not (customers.is_test or customers.is_employee)
    group by all
)

select
    'repeat_customers' as kpi_id,
    period_start,
    customer_id,
    cast(1 as double) as numerator,
    cast(null as double) as denominator
from buyers
where last_order_number >= 2
union all
select
    'repeat_purchase_rate' as kpi_id,
    period_start,
    customer_id,
    cast(orders >= 2 as double) as numerator,
    cast(1 as double) as denominator
from buyers
