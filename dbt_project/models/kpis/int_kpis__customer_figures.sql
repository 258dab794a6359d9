{#- Written by `python -m dbt_project.kpis` out of dbt_project/kpis/*.yml.
    What each customer adds to the KPIs that count identities, per month. -#}
with people as (
    select customer_id
    from {{ ref('customer_360') }}
    where not (is_test or is_employee)
)

select
    'new_customers' as kpi_id,
    cast(date_trunc('month', facts.ordered_on) as date) as period_start,
    people.customer_id,
    cast(sum(cast(1 as decimal(18, 4))) as double) as numerator,
    cast(null as double) as denominator
from {{ ref('fct_orders') }} as facts
inner join people on facts.customer_id = people.customer_id
where facts.ordered_on is not null and (customer_order_number = 1)
group by all
union all
select kpi_id, period_start, customer_id, numerator, denominator
from {{ ref('int_kpis__repeat_buyers') }}
where kpi_id = 'repeat_customers'
union all
select kpi_id, period_start, customer_id, numerator, denominator
from {{ ref('int_kpis__repeat_buyers') }}
where kpi_id = 'repeat_purchase_rate'
