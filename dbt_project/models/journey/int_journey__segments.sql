{#- Who is looked at together. Whoever has a company is b2b, whoever is only a browser a visitor, others b2c. -#}
with customers as (
    select
        customer_id,
        {{ persona() }} as persona,
        coalesce(country, '(unknown)') as country
    from {{ ref('customer_360') }}
    where not is_test and not is_employee
),

cohorts as (
    select customer_id, strftime({{ reporting_date('entered_at') }}, '%Y-%m') as cohort
    from {{ ref('fct_journey_stage_spans') }}
    where span_number = 1
)

select customer_id, 'all' as dimension, 'all' as dimension_value from customers
union all
select customer_id, 'persona', persona from customers
union all
select customer_id, 'country', country from customers
union all
select customers.customer_id, 'cohort', cohorts.cohort
from customers
inner join cohorts on customers.customer_id = cohorts.customer_id
