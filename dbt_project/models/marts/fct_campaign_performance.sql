{#- Each area is brought to one row per campaign before it is joined, so that nothing fans out. -#}
{% set measures = {
    'messages': [
        'sent', 'delivered', 'bounced', 'opened', 'clicked', 'touched_by_machine', 'unsubscribed', 'responded',
    ],
    'sessions': ['sessions', 'new_visitors', 'sessions_with_order'],
    'leads': ['leads', 'won_leads'],
    'credits': ['orders_last', 'orders_linear', 'revenue_last', 'revenue_linear'],
} %}
with internal as (
    select customer_id from {{ ref('int_commerce__internal_customers') }}
),

messages as (
    select
        campaign_key,
        count(*) filter (where is_sent) as sent,
        count(*) filter (where is_delivered) as delivered,
        count(*) filter (where is_bounced) as bounced,
        count(*) filter (where is_opened) as opened,
        count(*) filter (where is_clicked) as clicked,
        count(*) filter (where machine_at is not null) as touched_by_machine,
        count(*) filter (where is_unsubscribed) as unsubscribed,
        count(*) filter (where responded_at is not null) as responded
    from {{ ref('fct_campaign_messages') }} as messages
    anti join internal on messages.customer_id = internal.customer_id
    where campaign_key is not null
    group by campaign_key
),

sessions as (
    select
        campaign_key,
        count(*) as sessions,
        count(*) filter (where customer_session_number = 1) as new_visitors,
        count(*) filter (where orders > 0) as sessions_with_order
    from {{ ref('fct_web_sessions') }} as sessions
    anti join internal on sessions.customer_id = internal.customer_id
    where campaign_key is not null
    group by campaign_key
),

leads as (
    select campaign_key, count(*) as leads, count(*) filter (where is_won) as won_leads
    from {{ ref('fct_opportunities') }} as opportunities
    anti join internal on opportunities.customer_id = internal.customer_id
    where campaign_key is not null and converted_from_key is null
    group by campaign_key
),

credits as (
    select
        {% for model in ['last', 'linear'] %}
        sum(credit) filter (where model = '{{ model }}') as orders_{{ model }},
        sum(revenue_reporting) filter (where model = '{{ model }}') as revenue_{{ model }},
        {% endfor %}
        campaign_key
    from {{ ref('fct_attribution_credits') }}
    where conversion_kind = 'order' and campaign_key is not null and model in ('last', 'linear')
    group by campaign_key
),

-- an amount whose currency has no rate leaves the cost unknown
spend as (
    select
        campaign_key,
        case when count(amount_reporting) = count(*) then sum(amount_reporting) end as cost_reporting,
        sum(impressions) as impressions,
        sum(clicks) as ad_clicks,
        min(spent_on) as first_spent_on,
        max(spent_on) as last_spent_on
    from {{ ref('fct_ad_spend') }}
    where campaign_key is not null
    group by campaign_key
),

joined as (
    select
        {% for area, counts in measures.items() %}
        {% for name in counts %}
        coalesce({{ area }}.{{ name }}, 0) as {{ name }},
        {% endfor %}
        {% endfor %}
        campaigns.campaign_key,
        campaigns.source,
        campaigns.name,
        arrivals.channel,
        campaigns.budget,
        campaigns.currency as budget_currency,
        campaigns.started_at,
        campaigns.ended_at,
        spend.* exclude (campaign_key)
    from {{ ref('campaigns') }} as campaigns
    left join {{ ref('int_marketing__arrivals') }} as arrivals
        on {{ stated_arrival_key('campaigns.channel') }} = arrivals.arrival_key
    left join messages on campaigns.campaign_key = messages.campaign_key
    left join sessions on campaigns.campaign_key = sessions.campaign_key
    left join leads on campaigns.campaign_key = leads.campaign_key
    left join credits on campaigns.campaign_key = credits.campaign_key
    left join spend on campaigns.campaign_key = spend.campaign_key
),

final as (
    select
        *,
        opened / nullif(delivered, 0) as open_rate,
        clicked / nullif(delivered, 0) as click_rate,
        unsubscribed / nullif(delivered, 0) as unsubscribe_rate,
        cast(cost_reporting as double) / nullif(leads, 0) as cost_per_lead,
        cast(cost_reporting as double) / nullif(cast(orders_linear as double), 0) as cost_per_order,
        cast(revenue_linear as double) / nullif(cast(cost_reporting as double), 0) as return_on_ad_spend
    from joined
)

select {{ contract_columns() }} from final
