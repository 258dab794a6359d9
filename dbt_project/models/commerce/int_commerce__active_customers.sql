{#- Who is a customer on the first day of each month: whose last purchase before it is not yet too long ago. -#}
with purchases as (
    select
        purchases.customer_id,
        purchases.ordered_on,
        least(
            coalesce(purchases.next_on, {{ reporting_date(as_of()) }}),
            purchases.ordered_on + cast(gaps.lapsed_after_days as integer)
        ) as active_until
    from {{ ref('int_commerce__purchases') }} as purchases
    cross join {{ ref('int_commerce__purchase_gaps') }} as gaps
)

select purchases.customer_id, cast(boundary as date) as month_start
from purchases, unnest(generate_series(
    date_trunc('month', purchases.ordered_on) + interval 1 month,
    cast(purchases.active_until as timestamp),
    interval 1 month
)) as boundaries (boundary)
