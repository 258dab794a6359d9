with customers as (
    select * from {{ ref('customer_360') }}
    where household_id is not null
),

final as (
    select
        household_id,
        count(*) as customers,
        mode(last_name order by last_name) as family_name,
        case
            when count(distinct lower(street || postal_code)) = 1 then min(city)
        end as city,
        bool_or(is_test or is_employee) as has_internal,
        sum(orders_placed) as orders_placed,
        sum(valid_orders) as valid_orders,
        sum(revenue_reporting) as revenue_reporting,
        sum(tickets) as tickets,
        min(first_ordered_at) as first_ordered_at,
        max(last_ordered_at) as last_ordered_at,
        min(known_since) as known_since
    from customers
    group by household_id
)

select {{ contract_columns() }} from final
