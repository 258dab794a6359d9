{#- A quarter or a year of each account's revenue against the same months a year before. -#}
with revenue as (
    select * from {{ ref('int_commerce__account_revenue') }}
),

windows as (
    select
        grains.comparison,
        months.month_start,
        months.next_month_start - to_months(grains.months) as current_from,
        months.next_month_start as current_to,
        months.next_month_start - to_months(12 + grains.months) as earlier_from,
        months.next_month_start - to_months(12) as earlier_to
    from {{ ref('int_commerce__months') }} as months
    cross join (values ('quarter', 3), ('year', 12)) as grains (comparison, months)
    where
        months.has_ended
        -- only where the whole of the earlier window is known: sales may have begun in mid-month
        and months.next_month_start - to_months(12 + grains.months) >= (
            select min(ordered_on) from {{ ref('int_commerce__purchases') }}
        )
),

by_account as (
    select
        windows.comparison,
        windows.month_start,
        revenue.account_id,
        coalesce(sum(revenue.revenue_reporting) filter (where revenue.month_start < windows.earlier_to), 0) as earlier,
        coalesce(sum(revenue.revenue_reporting) filter (
            where revenue.month_start >= windows.current_from
        ), 0) as later
    from windows
    inner join revenue
        on revenue.month_start >= windows.earlier_from and revenue.month_start < windows.current_to
    group by all
),

added as (
    select
        comparison,
        month_start,
        count(*) as accounts,
        sum(earlier) as start_revenue_reporting,
        sum(greatest(later - earlier, 0)) as expansion_reporting,
        coalesce(sum(earlier - later) filter (where later > 0 and later < earlier), 0) as contraction_reporting,
        coalesce(sum(earlier) filter (where later <= 0), 0) as churned_reporting,
        count(*) filter (where later <= 0) as churned_accounts
    from by_account
    where earlier > 0
    group by all
),

final as (
    select
        *,
        start_revenue_reporting + expansion_reporting - contraction_reporting - churned_reporting
            as end_revenue_reporting,
        cast(
            start_revenue_reporting + expansion_reporting - contraction_reporting - churned_reporting as double
        ) / cast(start_revenue_reporting as double) as net_revenue_retention,
        cast(
            start_revenue_reporting - contraction_reporting - churned_reporting as double
        ) / cast(start_revenue_reporting as double) as gross_revenue_retention
    from added
)

select {{ contract_columns() }} from final
