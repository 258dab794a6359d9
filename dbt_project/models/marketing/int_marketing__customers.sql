{#- What marketing knows of each customer, one row each. -#}
with sessions as (
    select
        customer_id,
        count(*) as web_sessions,
        min(started_at) as first_web_session_at,
        max(started_at) as last_web_session_at,
        count(*) filter (where orders > 0) as web_sessions_with_order
    from {{ ref('fct_web_sessions') }}
    where customer_id is not null
    group by customer_id
),

touches as (
    select
        customer_id,
        arg_min(channel, (occurred_at, touch_key)) as first_touch_channel,
        arg_min_null(campaign_key, (occurred_at, touch_key)) as first_touch_campaign_key,
        min(occurred_at) as first_touch_at,
        arg_max(channel, (occurred_at, touch_key)) as last_touch_channel,
        max(occurred_at) as last_touch_at,
        count(*) as marketing_touches,
        count(distinct channel) as marketing_channels
    from {{ ref('int_marketing__touches') }}
    where customer_id is not null
    group by customer_id
),

messages as (
    select
        customer_id,
        count(*) filter (where is_delivered) as campaign_messages,
        count(*) filter (where is_delivered and is_opened) as campaign_messages_opened,
        count(*) filter (where is_delivered and is_clicked) as campaign_messages_clicked,
        max(greatest(opened_at, clicked_at, responded_at)) as last_campaign_reply_at,
        max(unsubscribed_at) as last_unsubscribed_at
    from {{ ref('fct_campaign_messages') }}
    where customer_id is not null
    group by customer_id
)

select
    coalesce(sessions.customer_id, touches.customer_id, messages.customer_id) as customer_id,
    sessions.first_web_session_at,
    sessions.last_web_session_at,
    coalesce(sessions.web_sessions, 0) as web_sessions,
    coalesce(sessions.web_sessions_with_order, 0) as web_sessions_with_order,
    touches.first_touch_channel,
    touches.first_touch_campaign_key,
    touches.first_touch_at,
    touches.last_touch_channel,
    touches.last_touch_at,
    coalesce(touches.marketing_touches, 0) as marketing_touches,
    coalesce(touches.marketing_channels, 0) as marketing_channels,
    coalesce(messages.campaign_messages, 0) as campaign_messages,
    coalesce(messages.campaign_messages_opened, 0) as campaign_messages_opened,
    coalesce(messages.campaign_messages_clicked, 0) as campaign_messages_clicked,
    messages.last_campaign_reply_at,
    messages.last_unsubscribed_at
from sessions
full outer join touches on sessions.customer_id = touches.customer_id
full outer join messages on coalesce(sessions.customer_id, touches.customer_id) = messages.customer_id
