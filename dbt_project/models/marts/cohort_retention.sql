with purchases as (
    select * from {{ ref('int_commerce__purchases') }}
),

cohorts as (
    select customer_id, month_start as cohort_month
    from purchases
    where customer_order_number = 1
),

sizes as (
    select cohort_month, count(*) as customers from cohorts group by cohort_month
),

activity as (
    select
        cohorts.cohort_month,
        purchases.month_start,
        count(distinct purchases.customer_id) as active_customers,
        count(*) as orders,
        sum(purchases.revenue_reporting) as revenue_reporting
    from purchases
    inner join cohorts on purchases.customer_id = cohorts.customer_id
    group by all
),

cells as (
    select
        sizes.cohort_month,
        date_diff('month', sizes.cohort_month, months.month_start) as period_number,
        months.month_start,
        sizes.customers,
        coalesce(activity.active_customers, 0) as active_customers,
        coalesce(activity.orders, 0) as orders,
        coalesce(activity.revenue_reporting, 0) as revenue_reporting,
        months.has_ended as is_mature
    from sizes
    inner join {{ ref('int_commerce__months') }} as months on sizes.cohort_month <= months.month_start
    left join activity
        on sizes.cohort_month = activity.cohort_month and months.month_start = activity.month_start
),

final as (
    select
        *,
        -- a month that has not ended may only rise: it is no rate yet
        case when is_mature then cast(active_customers as double) / customers end as retention,
        case
            when is_mature then {{ wilson('cast(active_customers as double)', 'customers', 'low') }}
        end as ci_low,
        case
            when is_mature then {{ wilson('cast(active_customers as double)', 'customers', 'high') }}
        end as ci_high,
        sum(revenue_reporting) over (
            partition by cohort_month order by period_number
        ) as cumulative_revenue_reporting
    from cells
)

select {{ contract_columns() }} from final
