{#- Written by `python -m dbt_project.kpis` out of dbt_project/kpis/*.yml.
    What each customer adds to the KPIs that count identities, per month. -#}
with people as (
    select customer_id
    from {{ ref('customer_360') }}
    where not (is_test or is_employee)
)

select
    'new_website_visitors' as kpi_id,
    cast(date_trunc('month', facts.started_on) as date) as period_start,
    people.customer_id,
    cast(sum(cast(1 as decimal(18, 4))) as double) as numerator,
    cast(null as double) as denominator
from {{ ref('fct_web_sessions') }} as facts
inner join people on facts.customer_id = people.customer_id
where facts.started_on is not null and (customer_session_number = 1)
group by all
union all
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
select
    'first_contact_resolution_1d' as kpi_id,
    cast(date_trunc('month', facts.resolved_on) as date) as period_start,
    people.customer_id,
    cast(sum(cast(is_resolved_1d::int as decimal(18, 4))) as double) as numerator,
    cast(count(*) as double) as denominator
from {{ ref('fct_issues') }} as facts
inner join people on facts.customer_id = people.customer_id
where facts.resolved_on is not null and (is_resolved_1d::int) is not null
group by all
union all
select
    'first_contact_resolution_3d' as kpi_id,
    cast(date_trunc('month', facts.resolved_on) as date) as period_start,
    people.customer_id,
    cast(sum(cast(is_resolved_3d::int as decimal(18, 4))) as double) as numerator,
    cast(count(*) as double) as denominator
from {{ ref('fct_issues') }} as facts
inner join people on facts.customer_id = people.customer_id
where facts.resolved_on is not null and (is_resolved_3d::int) is not null
group by all
union all
select
    'first_contact_resolution_7d' as kpi_id,
    cast(date_trunc('month', facts.resolved_on) as date) as period_start,
    people.customer_id,
    cast(sum(cast(is_resolved_7d::int as decimal(18, 4))) as double) as numerator,
    cast(count(*) as double) as denominator
from {{ ref('fct_issues') }} as facts
inner join people on facts.customer_id = people.customer_id
where facts.resolved_on is not null and (is_resolved_7d::int) is not null
group by all
union all
select
    'first_contact_resolution_14d' as kpi_id,
    cast(date_trunc('month', facts.resolved_on) as date) as period_start,
    people.customer_id,
    cast(sum(cast(is_resolved_14d::int as decimal(18, 4))) as double) as numerator,
    cast(count(*) as double) as denominator
from {{ ref('fct_issues') }} as facts
inner join people on facts.customer_id = people.customer_id
where facts.resolved_on is not null and (is_resolved_14d::int) is not null
group by all
union all
select
    'first_contact_resolution_30d' as kpi_id,
    cast(date_trunc('month', facts.resolved_on) as date) as period_start,
    people.customer_id,
    cast(sum(cast(is_resolved_30d::int as decimal(18, 4))) as double) as numerator,
    cast(count(*) as double) as denominator
from {{ ref('fct_issues') }} as facts
inner join people on facts.customer_id = people.customer_id
where facts.resolved_on is not null and (is_resolved_30d::int) is not null
group by all
union all
select kpi_id, period_start, customer_id, numerator, denominator
from {{ ref('int_kpis__repeat_buyers') }}
where kpi_id = 'repeat_customers'
union all
select kpi_id, period_start, customer_id, numerator, denominator
from {{ ref('int_kpis__repeat_buyers') }}
where kpi_id = 'repeat_purchase_rate'
