-- Customers, orders and revenue over households, and over accounts, and over those that have none are the totals.
{% set measures = ['orders_placed', 'valid_orders', 'revenue_reporting', 'tickets'] %}
with customers as (
    select * from {{ ref('customer_360') }}
),

totals as (
    select count(*) as customers{% for m in measures %}, sum({{ m }}) as {{ m }}{% endfor %}
    from customers
),

{% for level, model, column, missing in [
    ('household', 'dim_households', 'customers', 'household_id is null'),
    ('account', 'dim_accounts', 'main_customers',
     'customer_id not in (select customer_id from ' ~ ref('bridge_customer_accounts') ~ ' as b inner join '
     ~ ref('dim_accounts') ~ ' as a on b.account_key = a.account_key where b.is_primary)'),
] %}
of_{{ level }}s as (
    select sum(customers) as customers{% for m in measures %}, sum({{ m }}) as {{ m }}{% endfor %}
    from (
        select {{ column }} as customers{% for m in measures %}, {{ m }}{% endfor %}
        from {{ ref(model) }}
        union all
        select 1{% for m in measures %}, {{ m }}{% endfor %}
        from customers
        where {{ missing }}
    ) as parts
){{ ',' if not loop.last }}
{% endfor %}

{% for level in ['household', 'account'] %}
select '{{ level }}' as level, totals.customers, of_{{ level }}s.customers as added_up
from totals
cross join of_{{ level }}s
where
    totals.customers <> of_{{ level }}s.customers
    {% for m in measures %}
    or totals.{{ m }} <> of_{{ level }}s.{{ m }}
    {% endfor %}
{{ 'union all' if not loop.last }}
{% endfor %}
