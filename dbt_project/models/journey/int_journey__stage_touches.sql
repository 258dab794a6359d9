{#- What each customer did in each stage: a touch belongs to the stage the customer was in. -#}
-- of the spans passed at one moment, the last
with spans as (
    select * from {{ ref('fct_journey_stage_spans') }}
    where exited_at is distinct from entered_at
)

select
    spans.customer_id,
    spans.journey_stage,
    interactions.action,
    interactions.touchpoint,
    interactions.direction,
    count(*) as touches
from {{ ref('fct_interactions') }} as interactions
asof inner join spans
    on interactions.customer_id = spans.customer_id and interactions.occurred_at >= spans.entered_at
where not spans.is_detour
group by all
