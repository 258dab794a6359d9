{#- A span lasts from one move of the machine to the next; the last one is open. -#}
with moves as (
    select
        moves.*,
        stages.stage as journey_stage,
        stages.kind = 'detour' as is_detour
    from {{ ref('int_journey__moves') }} as moves
    inner join {{ ref('journey_stages') }} as stages on moves.stage_number = stages.stage_number
),

chained as (
    select
        *,
        row_number() over journey as span_number,
        lead(entered_at) over journey as exited_at,
        lead(journey_stage) over journey as next_stage,
        lead(cause) over journey as exit_cause,
        lead(interaction_key) over journey as exit_interaction_key,
        lag(stage_number) over journey as previous_stage_number,
        lag(journey_stage) over journey as previous_stage,
        row_number() over (partition by customer_id, stage_number order by entered_at, step_number) as visit_number
    from moves
    window journey as (partition by customer_id order by entered_at, step_number)
),

lasting as (
    select * from chained
    where exited_at is distinct from entered_at
),

-- a touch belongs to the span in which it falls, of those passed at that moment to the last
touched as (
    select lasting.customer_id, lasting.span_number, count(*) as touches
    from {{ ref('fct_interactions') }} as interactions
    asof inner join lasting
        on interactions.customer_id = lasting.customer_id and interactions.occurred_at >= lasting.entered_at
    group by all
),

final as (
    select
        chained.customer_id || ':' || chained.span_number as span_key,
        chained.* exclude (interaction_key, cause, step_number),
        chained.cause as entry_cause,
        chained.interaction_key as entry_interaction_key,
        coalesce(touched.touches, 0) as touches,
        chained.exited_at is null as is_open,
        chained.cause = 'backward' as is_backward,
        chained.visit_number > 1 as is_reentry,
        date_diff(
            'second', chained.entered_at, coalesce(chained.exited_at, greatest({{ as_of() }}, chained.entered_at))
        ) / 86400.0 as days_in_stage
    from chained
    left join touched on chained.customer_id = touched.customer_id and chained.span_number = touched.span_number
)

select {{ contract_columns() }} from final
