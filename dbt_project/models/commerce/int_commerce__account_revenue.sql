{#- Revenue of each account and month: of the account that ordered, else the customer's primary account.
    Two systems' accounts of one web domain are one account. -#}
with accounts as (
    select account_key, coalesce('domain:' || lower(trim(domain)), account_key) as account_id
    from {{ ref('accounts') }}
),

of_customers as (
    select distinct bridge.customer_id, accounts.account_id
    from {{ ref('bridge_customer_accounts') }} as bridge
    inner join accounts on bridge.account_key = accounts.account_key
    where bridge.is_primary
)

select
    coalesce(accounts.account_id, of_customers.account_id) as account_id,
    purchases.month_start,
    sum(purchases.revenue_reporting) as revenue_reporting
from {{ ref('int_commerce__purchases') }} as purchases
left join accounts on purchases.account_key = accounts.account_key
left join of_customers on purchases.customer_id = of_customers.customer_id
where coalesce(accounts.account_id, of_customers.account_id) is not null and purchases.revenue_reporting is not null
group by all
