{#- Every move from one stage or detour to another, the first contact included. -#}
with final as (
    select
        span_key as transition_key,
        customer_id,
        span_number as transition_number,
        entered_at as moved_at,
        {{ reporting_date('entered_at') }} as moved_on,
        previous_stage as from_stage,
        journey_stage as to_stage,
        entry_cause as cause,
        entry_interaction_key as interaction_key,
        is_backward,
        is_reentry
    from {{ ref('fct_journey_stage_spans') }}
)

select {{ contract_columns() }} from final
