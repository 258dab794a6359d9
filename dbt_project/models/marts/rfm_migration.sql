with scores as (
    select month_start, customer_id, rfm_group, fixed_rfm_group
    from {{ ref('fct_customer_rfm') }}
),

moves as (
    select
        now.month_start,
        before.rfm_group as from_group,
        now.rfm_group as to_group,
        before.fixed_rfm_group as fixed_from_group,
        now.fixed_rfm_group as fixed_to_group,
        count(*) as customers
    from scores as now
    left join scores as before
        on
            now.customer_id = before.customer_id
            and before.month_start = cast(now.month_start - interval 1 month as date)
    where now.month_start > (select min(month_start) from scores)
    group by all
),

by_variant as (
    select month_start, 'quintiles' as variant, from_group, to_group, customers from moves
    union all
    select month_start, 'fixed thresholds', fixed_from_group, fixed_to_group, customers from moves
),

added as (
    select
        month_start,
        variant,
        coalesce(from_group, 'prospects') as from_group,
        to_group,
        sum(customers) as customers
    from by_variant
    group by all
),

final as (
    select
        *,
        customers / sum(customers) over (partition by month_start, variant, from_group) as share_of_from_group
    from added
)

select {{ contract_columns() }} from final
