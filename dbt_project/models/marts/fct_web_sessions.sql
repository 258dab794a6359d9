with events as (
    select * from {{ ref('int_marketing__session_events') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

sessions as (
    select
        session_key,
        source,
        visitor_key,
        arg_min(person_record_key, (occurred_at, web_event_key)) filter (
            where person_record_key is not null
        ) as person_record_key,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as events,
        count(*) filter (where kind = 'page_view') as page_views,
        count(*) filter (where kind = 'product_view') as product_views,
        count(*) filter (where kind = 'search') as searches,
        count(*) filter (where kind = 'add_to_cart') as cart_additions,
        count(*) filter (where kind = 'checkout') as checkouts,
        bool_or(kind = 'sign_up') as has_sign_up,
        arg_min(url, (occurred_at, web_event_key)) filter (where url is not null) as landing_url,
        max(device) as device,
        max(country) as country
    from events
    group by session_key, source, visitor_key
),

landings as (
    select session_key, utm_source, utm_medium, utm_campaign, referrer_host, arrival_key
    from events
    where begins_session
),

identified as (
    select
        sessions.*,
        landings.* exclude (session_key),
        coalesce(signed_in.record_key, visitor.record_key) as record_key,
        coalesce(signed_in.customer_id, visitor.customer_id) as customer_id
    from sessions
    inner join landings on sessions.session_key = landings.session_key
    left join assignments as signed_in on sessions.person_record_key = signed_in.record_key
    left join assignments as visitor on sessions.visitor_key = visitor.record_key
),

-- a customer on two devices at once orders in one of the two sessions
starts as (
    select customer_id, started_at, min(session_key) as session_key
    from identified
    where customer_id is not null
    group by customer_id, started_at
),

orders as (
    select order_key, customer_id, ordered_at, revenue_reporting
    from {{ ref('fct_orders') }}
    where is_valid and customer_id is not null and coalesce(lower(channel), 'web') not in ('pos', 'store', 'phone')
),

placed as (
    select starts.session_key, orders.order_key, orders.ordered_at, orders.revenue_reporting
    from orders
    asof inner join starts
        on orders.customer_id = starts.customer_id and orders.ordered_at >= starts.started_at
),

ordered as (
    select
        placed.session_key,
        count(*) as orders,
        sum(placed.revenue_reporting) as revenue_reporting
    from placed
    inner join sessions on placed.session_key = sessions.session_key
    where placed.ordered_at <= sessions.ended_at + {{ session_gap() }}
    group by placed.session_key
),

final as (
    select
        identified.*,
        {{ reporting_date('identified.started_at') }} as started_on,
        identified.ended_at + {{ session_gap() }} < {{ as_of() }} as is_over,
        date_diff('second', identified.started_at, identified.ended_at) as duration_seconds,
        identified.events = 1 as is_bounce,
        arrivals.channel,
        arrivals.campaign_key,
        row_number() over (
            partition by identified.visitor_key order by identified.started_at, identified.session_key
        ) as visitor_session_number,
        case when identified.customer_id is not null then row_number() over (
            partition by identified.customer_id order by identified.started_at, identified.session_key
        ) end as customer_session_number,
        coalesce(ordered.orders, 0) as orders,
        coalesce(ordered.revenue_reporting, 0) as revenue_reporting
    from identified
    inner join {{ ref('int_marketing__arrivals') }} as arrivals on identified.arrival_key = arrivals.arrival_key
    left join ordered on identified.session_key = ordered.session_key
)

select {{ contract_columns() }} from final
