{#- Every touch between the company and a person, whatever the source calls it, one row each. -#}
with placed as (
    select order_key, {{ person_reference(email='email') }} as person_ref from {{ ref('orders') }}
),

asked as (
    select ticket_key, {{ person_reference(email='email') }} as person_ref from {{ ref('tickets') }}
),

touches as (
    select
        opportunity_key as record_key, 'opportunity' as concept,
        case when kind = 'lead' then 'lead_created' else 'opportunity_created' end as action,
        person_record_key as person_ref, source, created_at as occurred_at, channel,
        cast(null as varchar) as order_key, cast(null as varchar) as ticket_key, campaign_key
    from {{ ref('opportunities') }}
    union all by name
    select
        events.opportunity_stage_event_key as record_key, 'opportunity_stage_event' as concept,
        'stage_' || events.stage as action, opportunities.person_record_key as person_ref, events.source,
        events.entered_at as occurred_at, opportunities.channel, opportunities.campaign_key
    from {{ ref('opportunity_stage_events') }} as events
    left join {{ ref('opportunities') }} as opportunities
        on events.opportunity_key = opportunities.opportunity_key
    {#- that a lead was converted, its opportunity shows: it is no contract yet #}
    where events.stage <> 'won' or opportunities.converted_to_key is null
    union all by name
    select
        order_key as record_key, 'order' as concept, 'order_placed' as action,
        {{ person_reference(email='email') }} as person_ref, source, ordered_at as occurred_at, channel,
        order_key, campaign_key
    from {{ ref('orders') }}
    union all by name
    select
        facts.order_key as record_key, 'order' as concept, 'order_shipped' as action,
        placed.person_ref, facts.source, facts.shipped_at as occurred_at, facts.order_key
    from {{ ref('fct_orders') }} as facts
    inner join placed on facts.order_key = placed.order_key
    where facts.shipped_at is not null
    union all by name
    select
        facts.order_key as record_key, 'order' as concept, 'order_delivered' as action,
        placed.person_ref, facts.source, facts.delivered_at as occurred_at, facts.order_key
    from {{ ref('fct_orders') }} as facts
    inner join placed on facts.order_key = placed.order_key
    where facts.delivered_at is not null
    union all by name
    select
        order_key as record_key, 'order' as concept, 'order_canceled' as action,
        {{ person_reference(email='email') }} as person_ref, source, canceled_at as occurred_at, order_key
    from {{ ref('orders') }} where canceled_at is not null
    union all by name
    select
        refunds.refund_key as record_key, 'refund' as concept, 'refund_paid' as action,
        placed.person_ref, refunds.source, refunds.refunded_at as occurred_at, refunds.order_key
    from {{ ref('refunds') }} as refunds
    left join placed on refunds.order_key = placed.order_key
    union all by name
    select
        cart_key as record_key, 'cart' as concept, 'cart_created' as action,
        {{ person_reference(email='email', anonymous_id='anonymous_id') }} as person_ref, source,
        created_at as occurred_at, order_key
    from {{ ref('carts') }}
    union all by name
    select
        ticket_key as record_key, 'ticket' as concept, 'ticket_created' as action,
        {{ person_reference(email='email') }} as person_ref, source, created_at as occurred_at, channel,
        order_key, ticket_key
    from {{ ref('tickets') }}
    union all by name
    select
        ticket_key as record_key, 'ticket' as concept, 'ticket_solved' as action,
        {{ person_reference(email='email') }} as person_ref, source, solved_at as occurred_at, channel,
        order_key, ticket_key
    from {{ ref('tickets') }} where solved_at is not null
    union all by name
    select
        messages.message_key as record_key, 'message' as concept, 'message_' || messages.author_role as action,
        coalesce(
            messages.person_record_key, {{ guest_key('messages.email', 'messages.source') }}, asked.person_ref
        ) as person_ref,
        messages.source, messages.sent_at as occurred_at, coalesce(messages.channel, tickets.channel) as channel,
        tickets.order_key, messages.ticket_key
    from {{ ref('messages') }} as messages
    left join {{ ref('tickets') }} as tickets on messages.ticket_key = tickets.ticket_key
    left join asked on messages.ticket_key = asked.ticket_key
    where coalesce(messages.is_public, true)
    union all by name
    select
        conversation_key as record_key, 'conversation' as concept, 'conversation_' || kind as action,
        {{ person_reference(email='email') }} as person_ref, source, started_at as occurred_at, ticket_key,
        direction as stated_direction
    from {{ ref('conversations') }}
    union all by name
    select
        invitation_key as record_key, 'survey_invitation' as concept, 'survey_invited' as action,
        {{ person_reference(email='email') }} as person_ref, source, sent_at as occurred_at, channel,
        order_key, ticket_key
    from {{ ref('survey_invitations') }}
    union all by name
    select
        facts.response_key as record_key, 'survey_response' as concept, 'survey_answered' as action,
        coalesce(facts.record_key, placed.person_ref, asked.person_ref) as person_ref, facts.source,
        facts.responded_at as occurred_at, facts.channel, facts.order_key, facts.ticket_key
    from {{ ref('fct_survey_responses') }} as facts
    left join placed on facts.order_key = placed.order_key
    left join asked on facts.ticket_key = asked.ticket_key
    union all by name
    select
        reviews.review_key as record_key, 'review' as concept, 'review_written' as action,
        coalesce(
            reviews.person_record_key, {{ guest_key('reviews.email', 'reviews.source') }}, placed.person_ref,
            reviews.source || ':visitor:' || reviews.anonymous_id
        ) as person_ref,
        reviews.source, reviews.reviewed_at as occurred_at, reviews.site as channel, reviews.order_key
    from {{ ref('reviews') }} as reviews
    left join placed on reviews.order_key = placed.order_key
    union all by name
    select
        campaign_event_key as record_key, 'campaign_event' as concept, 'campaign_' || kind as action,
        {{ person_reference(email='email') }} as person_ref, source, occurred_at, campaign_key
    from {{ ref('campaign_events') }} where not coalesce(is_bot, false)
    union all by name
    select
        web_event_key as record_key, 'web_event' as concept, 'web_' || kind as action,
        {{ person_reference(anonymous_id='anonymous_id') }} as person_ref, source, occurred_at,
        coalesce(utm_medium, 'web') as channel
    from {{ ref('web_events') }}
    {#- what is a review or a referral, too, is a touch once: as that #}
    where kind not in ('identified', 'review', 'referral') and not coalesce(is_bot, false)
    union all by name
    select
        consent_event_key as record_key, 'consent_event' as concept,
        case when is_granted then 'consent_granted' else 'consent_withdrawn' end as action,
        {{ person_reference(email='email') }} as person_ref, source, occurred_at, channel
    from {{ ref('consent_events') }}
    union all by name
    select
        loyalty_event_key as record_key, 'loyalty_event' as concept, 'loyalty_' || kind as action,
        {{ person_reference(email='email') }} as person_ref, source, occurred_at, order_key
    from {{ ref('loyalty_events') }}
    union all by name
    select
        referral_key as record_key, 'referral' as concept, 'referral_made' as action,
        {{ person_reference(email='email', anonymous_id='anonymous_id') }} as person_ref, source,
        referred_at as occurred_at
    from {{ ref('referrals') }}
),

identified as (
    select touches.*, assignments.customer_id
    from touches
    left join {{ ref('int_identity__assignments') }} as assignments
        on touches.person_ref = assignments.record_key
),

-- from the second valid order on, a customer shops as one who came back
second_orders as (
    select customer_id, min(ordered_at) as second_ordered_at
    from {{ ref('fct_orders') }}
    where customer_order_number = 2
    group by customer_id
)

select
    identified.concept || ':' || identified.action || ':' || identified.record_key as interaction_key,
    identified.customer_id,
    identified.person_ref,
    identified.occurred_at,
    identified.concept,
    identified.action,
    actions.touchpoint,
    coalesce(identified.channel, actions.default_channel) as channel,
    coalesce(identified.stated_direction, actions.direction) as direction,
    case
        when identified.occurred_at >= second_orders.second_ordered_at then actions.stage_of_repeat_customer
        else actions.stage
    end as journey_stage,
    case
        when identified.occurred_at >= second_orders.second_ordered_at then actions.evidence_of_repeat_customer
        else actions.evidence
    end as evidence,
    identified.source,
    identified.record_key,
    identified.order_key,
    identified.ticket_key,
    identified.campaign_key
from identified
left join {{ ref('journey_actions') }} as actions on identified.action = actions.action
left join second_orders on identified.customer_id = second_orders.customer_id
