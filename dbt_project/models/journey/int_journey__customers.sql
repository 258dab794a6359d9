{#- The journey of each customer in one row. -#}
with spans as (
    select * from {{ ref('fct_journey_stage_spans') }}
),

passed as (
    select
        customer_id,
        count(*) as journey_spans,
        count(*) filter (where is_reentry and not is_detour) as journey_reentries,
        count(*) filter (where entry_cause = 'win-back') as journey_win_backs,
        max(stage_number) filter (where not is_detour) as furthest_number
    from spans
    group by customer_id
),

touched as (
    select customer_id, max(occurred_at) as last_touch_at
    from {{ ref('fct_interactions') }}
    where customer_id is not null and occurred_at <= {{ as_of() }}
    group by customer_id
)

select
    spans.customer_id,
    spans.journey_stage,
    spans.entered_at as journey_stage_since,
    spans.previous_stage as previous_journey_stage,
    stages.stage as furthest_journey_stage,
    passed.* exclude (customer_id, furthest_number),
    date_diff(
        'day', {{ reporting_date('touched.last_touch_at') }}, {{ reporting_date(as_of()) }}
    ) as days_since_last_touch
from spans
inner join passed on spans.customer_id = passed.customer_id
left join {{ ref('journey_stages') }} as stages on passed.furthest_number = stages.stage_number
left join touched on spans.customer_id = touched.customer_id
where spans.is_open
