{#- Rows of activities that are no touch, each with its reason. Every other row is in fct_interactions once. -#}
{% set activities = [
    ('opportunities', 'opportunity', 'opportunity_key', 'created_at', 'null'),
    ('opportunity_stage_events', 'opportunity_stage_event', 'opportunity_stage_event_key', 'entered_at',
        "case when stage = 'won' and opportunity_key in (
            select opportunity_key from " ~ ref('opportunities') ~ " where converted_to_key is not null
        ) then 'converted lead: its opportunity shows it' end"),
    ('orders', 'order', 'order_key', 'ordered_at', 'null'),
    ('refunds', 'refund', 'refund_key', 'refunded_at', 'null'),
    ('carts', 'cart', 'cart_key', 'created_at', 'null'),
    ('tickets', 'ticket', 'ticket_key', 'created_at', 'null'),
    ('messages', 'message', 'message_key', 'sent_at', "case when not is_public then 'internal note' end"),
    ('conversations', 'conversation', 'conversation_key', 'started_at', 'null'),
    ('survey_invitations', 'survey_invitation', 'invitation_key', 'sent_at', 'null'),
    ('fct_survey_responses', 'survey_response', 'response_key', 'responded_at', 'null'),
    ('reviews', 'review', 'review_key', 'reviewed_at', 'null'),
    ('campaign_events', 'campaign_event', 'campaign_event_key', 'occurred_at', "case when is_bot then 'bot' end"),
    ('web_events', 'web_event', 'web_event_key', 'occurred_at',
        "case
            when is_bot then 'bot'
            when kind = 'identified' then 'names a visitor, does nothing'
            when kind in ('review', 'referral') then 'a touch as ' || kind
        end"),
    ('consent_events', 'consent_event', 'consent_event_key', 'occurred_at', 'null'),
    ('loyalty_events', 'loyalty_event', 'loyalty_event_key', 'occurred_at', 'null'),
    ('referrals', 'referral', 'referral_key', 'referred_at', 'null'),
] %}
with activities as (
    {% for model, concept, key, time, reason in activities %}
    select
        source, '{{ concept }}' as concept, {{ key }} as record_key, {{ time }} as occurred_at,
        coalesce({{ reason }}, case when {{ time }} is null then 'no time' end) as reason
    from {{ ref(model) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    concept,
    source,
    record_key,
    {{ reporting_date('occurred_at') }} as occurred_on,
    reason
from activities
where reason is not null
