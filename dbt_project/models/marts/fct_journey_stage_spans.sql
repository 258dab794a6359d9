{#- A span lasts from the first touch in a stage to the first touch in another; the last one is open.
    Touches at the same moment count in the order of the journey. -#}
with touches as (
    select
        customer_id,
        occurred_at,
        interaction_key,
        journey_stage,
        list_position(['awareness', 'consideration', 'decision', 'service', 'loyalty'], journey_stage) as stage_number
    from {{ ref('fct_interactions') }}
    where customer_id is not null
),

entries as (
    select
        *,
        coalesce(
            journey_stage <> lag(journey_stage) over (
                partition by customer_id order by occurred_at, stage_number, interaction_key
            ), true
        ) as is_entry
    from touches
),

numbered as (
    select
        *,
        count(*) filter (where is_entry) over (
            partition by customer_id order by occurred_at, stage_number, interaction_key
            rows between unbounded preceding and current row
        ) as span_number
    from entries
),

spans as (
    select
        customer_id,
        span_number,
        min(journey_stage) as journey_stage,
        min(stage_number) as stage_number,
        min(occurred_at) as entered_at,
        count(*) as touches
    from numbered
    group by customer_id, span_number
),

chained as (
    select
        *,
        lead(entered_at) over journey as exited_at,
        lead(journey_stage) over journey as next_stage,
        lag(stage_number) over journey as previous_stage_number,
        row_number() over (partition by customer_id, journey_stage order by span_number) as visit_number
    from spans
    window journey as (partition by customer_id order by span_number)
),

final as (
    select
        customer_id || ':' || span_number as span_key,
        *,
        exited_at is null as is_open,
        coalesce(stage_number < previous_stage_number, false) as is_backward,
        date_diff(
            'second', entered_at, coalesce(exited_at, greatest({{ as_of() }}, entered_at))
        ) / 86400.0 as days_in_stage
    from chained
)

select {{ contract_columns() }} from final
