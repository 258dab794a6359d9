{#- How people came to the company: arrivals on the website, replies to campaigns, and the way a lead
    came as the system of sales states it. Seeing a message is not coming: opens are no touch. -#}
with arrivals as (
    select * from {{ ref('int_marketing__arrivals') }}
),

visits as (
    select
        'web_event:' || events.web_event_key as touch_key,
        'visit' as kind,
        sessions.customer_id,
        events.occurred_at,
        arrivals.channel,
        arrivals.campaign_key,
        events.session_key,
        events.source
    from {{ ref('int_marketing__session_events') }} as events
    inner join {{ ref('fct_web_sessions') }} as sessions on events.session_key = sessions.session_key
    inner join arrivals on events.arrival_key = arrivals.arrival_key
    where events.is_arrival
),

replies as (
    select
        'message:' || message_key || ':clicked' as touch_key,
        'click' as kind,
        customer_id,
        clicked_at as occurred_at,
        coalesce(channel, 'email') as channel,
        campaign_key,
        source
    from {{ ref('fct_campaign_messages') }}
    where clicked_at is not null
    union all by name
    select
        'message:' || message_key || ':responded' as touch_key,
        'response' as kind,
        customer_id,
        responded_at as occurred_at,
        coalesce(channel, 'email') as channel,
        campaign_key,
        source
    from {{ ref('fct_campaign_messages') }}
    where responded_at is not null
),

-- a click and the visit it led to are one touch, where the visit was seen and is known to be of this person
visits_of_channel as (
    select distinct customer_id, channel, occurred_at as visited_at
    from visits
    where customer_id is not null
),

replies_without_visit as (
    select replies.*
    from replies
    asof left join visits_of_channel as seen
        on
            replies.customer_id = seen.customer_id
            and replies.channel = seen.channel
            and replies.occurred_at <= seen.visited_at
    where seen.visited_at is null or seen.visited_at > replies.occurred_at + {{ session_gap() }}
),

leads as (
    select
        'lead:' || opportunities.opportunity_key as touch_key,
        'lead' as kind,
        opportunities.customer_id,
        opportunities.created_at as occurred_at,
        coalesce(of_campaign.channel, stated.channel) as channel,
        opportunities.campaign_key,
        opportunities.source
    from {{ ref('fct_opportunities') }} as opportunities
    left join {{ ref('campaigns') }} as campaigns on opportunities.campaign_key = campaigns.campaign_key
    left join arrivals as of_campaign
        on {{ stated_arrival_key('campaigns.channel') }} = of_campaign.arrival_key
    left join arrivals as stated
        on {{ stated_arrival_key('opportunities.channel') }} = stated.arrival_key
    where
        opportunities.converted_from_key is null
        and opportunities.created_at is not null
        and (campaigns.channel is not null or opportunities.channel is not null)
)

select * from visits
union all by name
select * from replies_without_visit
union all by name
select * from leads
