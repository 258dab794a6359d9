-- Customers, orders and revenue over households, and over accounts, and over those that have none are the totals.
{% set measures = ['orders_placed', 'valid_orders', 'revenue_reporting', 'tickets'] %}
{% set sums = 'sum(customers) as customers, sum(orders_placed) as orders_placed, sum(valid_orders) as valid_orders,'
    ~ ' sum(revenue_reporting) as revenue_reporting, sum(tickets) as tickets' %}
with customers as (
    select *, 1 as customers from {{ ref('customer_360') }}
),

with_account as (
    select bridge.customer_id
    from {{ ref('bridge_customer_accounts') }} as bridge
    inner join {{ ref('dim_accounts') }} as accounts on bridge.account_key = accounts.account_key
    where bridge.is_primary
),

parts as (
    select 'household' as level, customers, {{ measures | join(', ') }}
    from {{ ref('dim_households') }}
    union all
    select 'household', customers, {{ measures | join(', ') }}
    from customers
    where household_id is null
    union all
    select 'account', main_customers, {{ measures | join(', ') }}
    from {{ ref('dim_accounts') }}
    union all
    select 'account', customers, {{ measures | join(', ') }}
    from customers
    where customer_id not in (select customer_id from with_account)
),

added_up as (
    select level, {{ sums }}
    from parts
    group by level
),

totals as (
    select {{ sums }} from customers
)

select added_up.level
from added_up
cross join totals
where
    added_up.customers <> totals.customers
    {% for measure in measures %}
    or added_up.{{ measure }} <> totals.{{ measure }}
    {% endfor %}
