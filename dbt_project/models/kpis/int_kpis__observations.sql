{#- Written by `python -m dbt_project.kpis` out of dbt_project/kpis/*.yml.
    What additive KPIs add up, per day, source and region: `total` over `weight`, with the squares
    that an interval needs. Sums are of decimals: those of floating numbers would depend on the
    order of the rows. Ratios are formed only after adding, never averaged. -#}
-- noqa: disable=LT02
with people as (
    select customer_id, coalesce(region, country) as region, is_test or is_employee as is_internal
    from {{ ref('customer_360') }}
),

fct_opportunities as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_opportunities') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_orders as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_orders') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_tickets as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_tickets') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_survey_responses as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_survey_responses') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

int_kpis__order_responses as (
    select facts.*, people.region as region_of_customer
    from {{ ref('int_kpis__order_responses') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

observations as (
    select
        'leads' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_opportunities
    where
        converted_from_key is null
    union all
    select
        'lead_to_deal_conversion' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_won::int as decimal(18, 4)) as total
    from fct_opportunities
    where
        converted_from_key is null
    union all
    select
        'orders' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_orders
    union all
    select
        'valid_orders' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'revenue' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(revenue_reporting as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'average_order_value' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(revenue_reporting as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'new_customers' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_orders
    where
        customer_order_number = 1
    union all
    select
        'late_delivery_rate' as kpi_id,
        delivered_on as day,
        source,
        region_of_customer as region,
        cast(is_late::int as decimal(18, 4)) as total
    from fct_orders
    union all
    select
        'tickets' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_tickets
    union all
    select
        'first_reply_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(first_reply_hours as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'ces' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(is_easy::int as decimal(18, 4)) as total
    from fct_survey_responses
    union all
    select
        'ces_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    where
        kind = 'ces'
    union all
    select
        'csat' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(is_satisfied::int as decimal(18, 4)) as total
    from fct_survey_responses
    union all
    select
        'csat_per_order' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(is_satisfied::int as decimal(18, 4)) as total
    from int_kpis__order_responses
    union all
    select
        'nps' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(case nps_group when 'promoter' then 1 when 'detractor' then -1 else 0 end as decimal(18, 4)) as total
    from fct_survey_responses
    where
        nps_group is not null
    union all
    select
        'survey_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    union all
    select
        'csat_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    where
        kind = 'csat'
    union all
    select
        'nps_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    where
        kind = 'nps'
)

select
    kpi_id,
    day,
    source,
    coalesce(region, '(unknown)') as region,
    sum(total) as total,
    count(*) as weight,
    sum(cast(total as decimal(38, 4)) * cast(total as decimal(38, 4))) as squares
from observations
where total is not null
group by all
