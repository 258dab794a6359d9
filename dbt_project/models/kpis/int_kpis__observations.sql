{#- Sums are of decimals: those of floating numbers would depend on the order of the rows.
    What additive KPIs add up, per day, source and region: `total` over `weight`, with the squares that
    an interval needs. Ratios are formed only after adding, never averaged. -#}
with regions as (
    select customer_id, coalesce(region, country) as region, is_test or is_employee as is_internal
    from {{ ref('customer_360') }}
),

orders as (
    select fct_orders.*, regions.region
    from {{ ref('fct_orders') }} as fct_orders
    left join regions on fct_orders.customer_id = regions.customer_id
    where not coalesce(regions.is_internal, false)
),

responses as (
    select fct_survey_responses.*, regions.region
    from {{ ref('fct_survey_responses') }} as fct_survey_responses
    left join regions on fct_survey_responses.customer_id = regions.customer_id
    where not coalesce(regions.is_internal, false)
),

-- an opportunity that a lead was converted to was counted when it was that lead
leads as (
    select fct_opportunities.*, regions.region
    from {{ ref('fct_opportunities') }} as fct_opportunities
    left join regions on fct_opportunities.customer_id = regions.customer_id
    where fct_opportunities.converted_from_key is null and not coalesce(regions.is_internal, false)
),

tickets as (
    select fct_tickets.*, regions.region
    from {{ ref('fct_tickets') }} as fct_tickets
    left join regions on fct_tickets.customer_id = regions.customer_id
    where not coalesce(regions.is_internal, false)
),

observations as (
    select 'orders' as kpi_id, ordered_on as day, source, region, 1 as total, 1 as weight from orders
    union all
    select 'valid_orders', ordered_on, source, region, 1, 1 from orders where is_valid
    union all
    select 'revenue', ordered_on, source, region, revenue_reporting, 1
    from orders where is_valid and revenue_reporting is not null
    union all
    select 'average_order_value', ordered_on, source, region, revenue_reporting, 1
    from orders where is_valid and revenue_reporting is not null
    union all
    select 'new_customers', ordered_on, source, region, 1, 1 from orders where customer_order_number = 1
    union all
    select 'late_delivery_rate', delivered_on, source, region, is_late::int, 1 from orders where is_late is not null
    union all
    select 'csat', responded_on, source, region, is_satisfied::int, 1 from responses where is_satisfied is not null
    union all
    select 'csat_per_order', bridge.responded_on, responses.source, responses.region, bridge.is_satisfied::int, 1
    from {{ ref('bridge_survey_response_orders') }} as bridge
    inner join responses on bridge.response_key = responses.response_key
    where bridge.is_satisfied is not null
    union all
    select
        'nps', responded_on, source, region,
        case nps_group when 'promoter' then 1 when 'detractor' then -1 else 0 end, 1
    from responses where nps_group is not null
    union all
    select 'ces', responded_on, source, region, is_easy::int, 1 from responses where is_easy is not null
    union all
    select 'survey_responses', responded_on, source, region, 1, 1 from responses
    union all
    select kind || '_responses', responded_on, source, region, 1, 1 from responses where kind in ('csat', 'nps', 'ces')
    union all
    select 'leads', created_on, source, region, 1, 1 from leads
    union all
    select 'lead_to_deal_conversion', created_on, source, region, is_won::int, 1 from leads
    union all
    select 'tickets', created_on, source, region, 1, 1 from tickets
    union all
    select 'first_reply_hours', created_on, source, region, first_reply_hours, 1
    from tickets where first_reply_hours is not null and not is_merged
)

select
    kpi_id,
    day,
    source,
    coalesce(region, '(unknown)') as region,
    sum(cast(total as decimal(18, 4))) as total,
    sum(weight) as weight,
    sum(cast(total as decimal(38, 4)) * cast(total as decimal(38, 4))) as squares
from observations
group by all
