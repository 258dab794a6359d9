{#- Buying up to today and up to 90 days ago: the later 90 days show what a forecast made then was worth.
    Several orders of a day are one purchase. -#}
with days as (
    select customer_id, ordered_on, coalesce(sum(revenue_reporting), 0) as value
    from {{ ref('int_commerce__purchases') }}
    group by customer_id, ordered_on
),

first_days as (
    select customer_id, min(ordered_on) as first_on from days group by customer_id
),

cutoffs as (
    select {{ reporting_date(as_of()) }} as cutoff, false as is_past
    union all
    select {{ reporting_date(as_of()) }} - 90, true
)

select
    cutoffs.cutoff,
    days.customer_id,
    count(*) filter (where days.ordered_on <= cutoffs.cutoff) - 1 as x,
    (max(days.ordered_on) filter (where days.ordered_on <= cutoffs.cutoff) - min(first_days.first_on)) / 7.0 as t_x,
    (cutoffs.cutoff - min(first_days.first_on)) / 7.0 as age,
    cast(
        avg(days.value) filter (
            where days.ordered_on <= cutoffs.cutoff and days.ordered_on > first_days.first_on
        ) as decimal(18, 4)
    ) as m,
    case when cutoffs.is_past then count(*) filter (where days.ordered_on > cutoffs.cutoff) end as bought_later
from days
inner join first_days on days.customer_id = first_days.customer_id
cross join cutoffs
where first_days.first_on <= cutoffs.cutoff
group by cutoffs.cutoff, cutoffs.is_past, days.customer_id
