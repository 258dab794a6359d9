with people as (
    select
        bridge.account_key,
        count(distinct bridge.customer_id) as customers,
        count(distinct bridge.customer_id) filter (where bridge.role = 'contact') as contacts
    from {{ ref('bridge_customer_accounts') }} as bridge
    group by bridge.account_key
),

-- of the customers whose only or main account it is: added up over accounts, nobody counts twice
main as (
    select
        bridge.account_key,
        count(*) as main_customers,
        sum(customers.orders_placed) as orders_placed,
        sum(customers.valid_orders) as valid_orders,
        sum(customers.revenue_reporting) as revenue_reporting,
        sum(customers.tickets) as tickets
    from (
        select distinct customer_id, account_key from {{ ref('bridge_customer_accounts') }} where is_primary
    ) as bridge
    inner join {{ ref('customer_360') }} as customers on bridge.customer_id = customers.customer_id
    group by bridge.account_key
),

final as (
    select
        accounts.*,
        coalesce(people.customers, 0) as customers,
        coalesce(people.contacts, 0) as contacts,
        coalesce(main.main_customers, 0) as main_customers,
        coalesce(main.orders_placed, 0) as orders_placed,
        coalesce(main.valid_orders, 0) as valid_orders,
        coalesce(main.revenue_reporting, 0) as revenue_reporting,
        coalesce(main.tickets, 0) as tickets
    from {{ ref('accounts') }} as accounts
    left join people on accounts.account_key = people.account_key
    left join main on accounts.account_key = main.account_key
)

select {{ contract_columns() }} from final
