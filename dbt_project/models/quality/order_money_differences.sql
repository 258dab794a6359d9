{#- Every order whose money does not add up, once for each way in which it does not, with the cause. -#}
with orders as (
    select * from {{ ref('fct_orders') }}
)

select
    order_key, source, 'total and parts' as rule, total_amount as stated, parts_amount as counted,
    parts_difference as difference, currency, parts_difference_cause as cause
from orders
where parts_difference_cause is not null
union all
select order_key, source, 'paid and total', paid_amount, total_amount, paid_difference, currency, paid_difference_cause
from orders
where paid_difference_cause is not null
union all
select
    order_key, source, 'refunded and paid', refunded_amount, paid_amount, refunded_amount - paid_amount, currency,
    'more refunded than paid'
from orders
where refunded_amount > paid_amount
