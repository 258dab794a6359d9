{#- What came in by valid orders, tax and shipping included, and what was given back of them. -#}
select
    source, customer_id, ordered_on, ordered_on as happened_on, 'order' as kind, total_reporting as amount,
    total_reporting as amount_at_order
from {{ ref('fct_orders') }}
where is_valid
union all
select source, customer_id, ordered_on, refunded_on, 'refund', -amount_reporting, -amount_reporting_at_order
from {{ ref('fct_refunds') }}
where is_valid_order
