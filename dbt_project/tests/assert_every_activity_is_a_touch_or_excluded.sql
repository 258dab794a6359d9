-- Per concept, source and day: rows of activities = first touches in fct_interactions + exclusions. An order, a
-- ticket or a lead may be several touches (shipped, solved ...): counted is the one that each row has.
{% set activities = [
    ('opportunities', 'opportunity', 'created_at'), ('opportunity_stage_events', 'opportunity_stage_event', 'entered_at'),
    ('orders', 'order', 'ordered_at'), ('refunds', 'refund', 'refunded_at'), ('carts', 'cart', 'created_at'),
    ('tickets', 'ticket', 'created_at'), ('messages', 'message', 'sent_at'),
    ('conversations', 'conversation', 'started_at'), ('survey_invitations', 'survey_invitation', 'sent_at'),
    ('fct_survey_responses', 'survey_response', 'responded_at'), ('reviews', 'review', 'reviewed_at'),
    ('campaign_events', 'campaign_event', 'occurred_at'), ('web_events', 'web_event', 'occurred_at'),
    ('consent_events', 'consent_event', 'occurred_at'), ('loyalty_events', 'loyalty_event', 'occurred_at'),
    ('referrals', 'referral', 'referred_at'),
] %}
with received as (
    {% for model, concept, time in activities %}
    select '{{ concept }}' as concept, source, {{ reporting_date(time) }} as occurred_on, count(*) as n
    from {{ ref(model) }}
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

accounted as (
    select concept, source, occurred_on, count(*) as n
    from {{ ref('fct_interactions') }}
    where action not in ('order_shipped', 'order_delivered', 'order_canceled', 'ticket_solved')
    group by all
    union all
    select concept, source, occurred_on, count(*) as n
    from {{ ref('journey_touch_exclusions') }}
    group by all
),

both_sides as (
    select concept, source, occurred_on, n, 0 as accounted from received
    union all
    select concept, source, occurred_on, 0, n from accounted
)

select concept, source, occurred_on, sum(n) as received, sum(accounted) as accounted
from both_sides
group by concept, source, occurred_on
having sum(n) <> sum(accounted)
