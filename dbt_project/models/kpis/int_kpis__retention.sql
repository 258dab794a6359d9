{#- KPIs that count people, who can't be added up over days: counted afresh per period. -#}
with regions as (
    select customer_id, coalesce(region, country, '(unknown)') as region
    from {{ ref('customer_360') }}
    where not is_test and not is_employee
),

orders as (
    select
        fct_orders.customer_id,
        fct_orders.source,
        regions.region,
        fct_orders.ordered_on,
        fct_orders.customer_order_number
    from {{ ref('fct_orders') }} as fct_orders
    inner join regions on fct_orders.customer_id = regions.customer_id
    where fct_orders.is_valid
),

placed as (
    select
        orders.customer_id,
        orders.customer_order_number,
        grains.period_grain,
        {{ period_start('grains.period_grain', 'orders.ordered_on') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'source' then orders.source when 'region' then orders.region else 'all'
        end as dimension_value
    from orders
    cross join (values ('day'), ('week'), ('month'), ('all')) as grains (period_grain)
    cross join (values ('all'), ('source'), ('region')) as dimensions (dimension)
),

buyers as (
    select
        period_grain, period_start, dimension, dimension_value, customer_id,
        count(*) as orders,
        max(customer_order_number) as last_order_number
    from placed
    group by all
)

select
    'active_customers' as kpi_id, period_grain, period_start, dimension, dimension_value,
    count(*) as total, count(*) as weight
from buyers group by all
union all
select
    'repeat_customers', period_grain, period_start, dimension, dimension_value,
    count(*) filter (where last_order_number >= 2), count(*) filter (where last_order_number >= 2)
from buyers group by all
union all
select
    'repeat_purchase_rate', period_grain, period_start, dimension, dimension_value,
    count(*) filter (where orders >= 2), count(*)
from buyers group by all
union all
select
    'cohort_retention', 'month', month_start, 'cohort', strftime(cohort_month, '%Y-%m'),
    active_customers, customers
from {{ ref('cohort_retention') }}
where is_mature and period_number > 0
