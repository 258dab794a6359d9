with scores as (
    select month_start, customer_id, 'quintiles' as variant, rfm_group from {{ ref('fct_customer_rfm') }}
    union all
    select month_start, customer_id, 'fixed thresholds', fixed_rfm_group from {{ ref('fct_customer_rfm') }}
),

moved as (
    select
        now.month_start,
        now.variant,
        coalesce(before.rfm_group, 'prospects') as from_group,
        now.rfm_group as to_group,
        count(*) as customers
    from scores as now
    left join scores as before
        on
            now.customer_id = before.customer_id
            and now.variant = before.variant
            and before.month_start = now.month_start - interval 1 month
    where now.month_start > (select min(month_start) from scores)
    group by all
),

final as (
    select
        *,
        customers / sum(customers) over (partition by month_start, variant, from_group) as share_of_from_group
    from moved
)

select {{ contract_columns() }} from final
