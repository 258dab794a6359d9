{#- What entities did of the actions that funnels ask for: one row per funnel, step and act. -#}
with steps as (
    select funnel, step, entity, counted_by, unnest(string_split(actions, ' ')) as action
    from {{ ref('funnels') }}
),

wanted as (
    select distinct action from steps
),

touches as (
    select interactions.*
    from {{ ref('fct_interactions') }} as interactions
    semi join wanted on interactions.action = wanted.action
),

acts as (
    select 'customer' as entity, customer_id as entity_key, customer_id, action, occurred_at
    from touches
    where customer_id is not null
    union all by name
    select
        'web_session' as entity, events.session_key as entity_key, touches.customer_id, touches.action,
        touches.occurred_at
    from touches
    inner join {{ ref('int_marketing__session_events') }} as events
        on touches.record_key = events.web_event_key and touches.concept = 'web_event'
    union all by name
    select
        'campaign_message' as entity, campaign_key || '|' || customer_id as entity_key, customer_id, action, occurred_at
    from touches
    where concept = 'campaign_event' and campaign_key is not null and customer_id is not null
    union all by name
    -- of a lead and the opportunity it was converted to
    select
        'lead' as entity,
        coalesce(
            opportunities.converted_from_key, opportunities.opportunity_key
        ) as entity_key,
        touches.customer_id, touches.action, touches.occurred_at
    from touches
    left join {{ ref('opportunity_stage_events') }} as stages
        on
            case touches.concept when 'opportunity_stage_event' then touches.record_key end
            = stages.opportunity_stage_event_key
    inner join {{ ref('fct_opportunities') }} as opportunities
        on coalesce(stages.opportunity_key, touches.record_key) = opportunities.opportunity_key
    where touches.concept in ('opportunity', 'opportunity_stage_event')
)

select
    steps.funnel,
    steps.step,
    steps.counted_by,
    -- the key under which a later step looks for it
    case steps.counted_by when 'customer' then acts.customer_id else acts.entity_key end as actor_key,
    acts.entity_key,
    acts.customer_id,
    acts.occurred_at
from steps
inner join acts
    on
        steps.action = acts.action
        and case steps.counted_by when 'customer' then 'customer' else steps.entity end = acts.entity
