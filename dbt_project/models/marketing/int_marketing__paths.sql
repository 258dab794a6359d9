{#- Touches in the order in which they led to a conversion, or to nothing. A touch belongs to the next
    conversion of its customer, if that comes within the look-back window, and to no other: a path
    begins after the conversion before. Other touches are paths that led nowhere, once no conversion
    can claim them any more; a pause longer than the window parts them. -#}
with kinds as (
    select * from {{ ref('attribution_conversions') }}
),

conversions as (
    select * from {{ ref('int_marketing__conversions') }}
),

internal as (
    select customer_id from {{ ref('int_commerce__internal_customers') }}
),

touches as (
    select kinds.conversion_kind, kinds.lookback_days, kinds.half_life_days, touches.*
    from {{ ref('int_marketing__touches') }} as touches
    cross join kinds
    anti join internal on touches.customer_id = internal.customer_id
    where touches.customer_id is not null
),

-- of two conversions in the same second the first by key has the path
moments as (
    select conversion_kind, customer_id, converted_at, min(conversion_key) as conversion_key
    from conversions
    where customer_id is not null
    group by all
),

told_apart as (
    select
        touches.*,
        moments.converted_at,
        moments.conversion_key as next_conversion_key,
        moments.converted_at is not null
        and touches.occurred_at >= moments.converted_at - to_days(touches.lookback_days) as leads_to_conversion
    from touches
    asof left join moments
        on
            touches.conversion_kind = moments.conversion_kind
            and touches.customer_id = moments.customer_id
            and touches.occurred_at <= moments.converted_at
),

-- who has ordered has no first order to make, and only who is a lead can become a won one
first_orders as (
    select conversion_kind, customer_id, min(converted_at) as converted_at
    from conversions
    where conversion_kind = 'first_order'
    group by all
),

leads as (
    select distinct customer_id from {{ ref('fct_opportunities') }} where customer_id is not null
),

idle as (
    select
        told_apart.*,
        coalesce(
            occurred_at > lag(occurred_at) over along + to_days(lookback_days)
            or next_conversion_key is distinct from lag(next_conversion_key) over along,
            true
        ) as begins_path
    from told_apart
    left join first_orders
        on
            told_apart.conversion_kind = first_orders.conversion_kind
            and told_apart.customer_id = first_orders.customer_id
    left join leads on told_apart.customer_id = leads.customer_id
    where
        not leads_to_conversion
        and (first_orders.converted_at is null or told_apart.occurred_at <= first_orders.converted_at)
        and (told_apart.conversion_kind <> 'won_lead' or leads.customer_id is not null)
    window along as (
        partition by told_apart.conversion_kind, told_apart.customer_id order by occurred_at, touch_key
    )
),

idle_paths as (
    select
        idle.* exclude (begins_path),
        last_value(case when begins_path then touch_key end ignore nulls) over (
            partition by conversion_kind, customer_id order by occurred_at, touch_key
            rows between unbounded preceding and current row
        ) as first_touch_key
    from idle
),

paths as (
    select
        conversion_kind || ':' || first_touch_key as path_key,
        cast(null as varchar) as conversion_key,
        * exclude (first_touch_key, converted_at, next_conversion_key, leads_to_conversion)
    from idle_paths
    union all by name
    select
        next_conversion_key as path_key,
        next_conversion_key as conversion_key,
        * exclude (converted_at, next_conversion_key, leads_to_conversion)
    from told_apart
    where leads_to_conversion
)

-- while a conversion could still come of the others that began then, none of them is compared
select
    *,
    max(occurred_at) over (partition by conversion_kind, path_key) + to_days(lookback_days) > {{ as_of() }} as is_open
from paths
