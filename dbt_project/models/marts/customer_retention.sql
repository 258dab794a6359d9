with active as (
    select * from {{ ref('int_commerce__active_customers') }}
),

firsts as (
    select customer_id, month_start
    from {{ ref('int_commerce__purchases') }}
    where customer_order_number = 1
),

gaps as (
    select lapsed_after_days from {{ ref('int_commerce__purchase_gaps') }}
),

since as (
    select min(ordered_on) as first_day from {{ ref('int_commerce__purchases') }}
),

at_start as (
    select
        active.month_start,
        count(*) as customers_at_start,
        count(kept.customer_id) as kept_customers
    from active
    left join active as kept
        on
            active.customer_id = kept.customer_id
            and kept.month_start = active.month_start + interval 1 month
    group by active.month_start
),

at_end as (
    select
        cast(active.month_start - interval 1 month as date) as month_start,
        count(*) as customers_at_end,
        count(firsts.customer_id) as new_customers
    from active
    left join firsts
        on
            active.customer_id = firsts.customer_id
            and firsts.month_start = active.month_start - interval 1 month
    group by all
),

counted as (
    select
        months.month_start,
        gaps.lapsed_after_days,
        coalesce(at_start.customers_at_start, 0) as customers_at_start,
        coalesce(at_end.customers_at_end, 0) as customers_at_end,
        coalesce(at_start.kept_customers, 0) as kept_customers,
        coalesce(at_end.new_customers, 0) as new_customers,
        coalesce(
            months.month_start >= since.first_day + cast(gaps.lapsed_after_days as integer), false
        ) as is_mature
    from {{ ref('int_commerce__months') }} as months
    cross join gaps
    cross join since
    left join at_start on months.month_start = at_start.month_start
    left join at_end on months.month_start = at_end.month_start
    where months.has_ended
),

final as (
    select
        *,
        customers_at_end - kept_customers - new_customers as won_back_customers,
        customers_at_start - kept_customers as lapsed_customers,
        case when is_mature and customers_at_start > 0 then kept_customers / customers_at_start end as retention_rate,
        case
            when is_mature and customers_at_start > 0 then 1 - kept_customers / customers_at_start
        end as churn_rate
    from counted
)

select {{ contract_columns() }} from final
