{#- What became of each message of a campaign to one person. What machines opened or clicked is kept apart. -#}
with events as (
    select
        *,
        coalesce({{ person_reference(email='email') }}, campaign_event_key) as record_key,
        coalesce(is_bot, false) as is_machine,
        -- a system that tells of deliveries tells of all of them
        bool_or(kind = 'delivered') over (partition by source) as tells_deliveries
    from {{ ref('campaign_events') }}
),

messages as (
    select
        source,
        campaign_key,
        record_key,
        bool_or(tells_deliveries) as tells_deliveries,
        min(occurred_at) filter (where kind in ('sent', 'delivered', 'bounced')) as sent_at,
        min(occurred_at) filter (where kind = 'delivered') as delivered_at,
        min(occurred_at) filter (where kind = 'bounced') as bounced_at,
        min(occurred_at) filter (where kind = 'opened' and not is_machine) as opened_at,
        min(occurred_at) filter (where kind = 'clicked' and not is_machine) as clicked_at,
        min(occurred_at) filter (where kind in ('opened', 'clicked') and is_machine) as machine_at,
        min(occurred_at) filter (where kind = 'unsubscribed') as unsubscribed_at,
        min(occurred_at) filter (where kind = 'responded') as responded_at,
        min(occurred_at) as first_event_at
    from events
    group by all
),

final as (
    select
        messages.*,
        coalesce(messages.campaign_key, messages.source || ':') || '|' || messages.record_key as message_key,
        assignments.customer_id,
        campaigns.name as campaign_name,
        arrivals.channel,
        {{ reporting_date('coalesce(messages.sent_at, messages.first_event_at)') }} as sent_on,
        messages.sent_at is not null as is_sent,
        messages.bounced_at is not null as is_bounced,
        messages.sent_at is not null and messages.bounced_at is null
        and (not messages.tells_deliveries or messages.delivered_at is not null) as is_delivered,
        messages.opened_at is not null as is_opened,
        messages.clicked_at is not null as is_clicked,
        messages.unsubscribed_at is not null as is_unsubscribed
    from messages
    left join {{ ref('int_identity__assignments') }} as assignments
        on messages.record_key = assignments.record_key
    left join {{ ref('campaigns') }} as campaigns on messages.campaign_key = campaigns.campaign_key
    left join {{ ref('int_marketing__arrivals') }} as arrivals
        on {{ stated_arrival_key('campaigns.channel') }} = arrivals.arrival_key
)

select {{ contract_columns() }} from final
