with reviews as (
    select
        *,
        {{ person_reference(email='email') }} as record_key,
        {{ person_reference(key=none, anonymous_id='anonymous_id') }} as visitor_key
    from {{ ref('reviews') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

orders as (
    select order_key, customer_id from {{ ref('fct_orders') }}
),

attributed as (
    select
        reviews.*,
        -- who ordered is known better than who browses
        coalesce(assignments.customer_id, orders.customer_id, visitors.customer_id) as customer_id,
        {{ reporting_date('reviews.reviewed_at') }} as reviewed_on,
        1 + 4 * (reviews.rating - reviews.scale_min) / (reviews.scale_max - reviews.scale_min) as stars
    from reviews
    left join assignments on reviews.record_key = assignments.record_key
    left join orders on reviews.order_key = orders.order_key
    left join assignments as visitors on reviews.visitor_key = visitors.record_key
),

final as (
    select *, stars >= 4 as is_positive from attributed
)

select {{ contract_columns() }} from final
