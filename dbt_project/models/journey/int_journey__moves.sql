{#- The machine, run on every customer's touches: one row per entry into a stage or detour. -#}
with touches as (
    select interaction_key, customer_id, occurred_at, journey_stage, direction, evidence
    from {{ ref('int_journey__touches') }}
)

select * from (
    {{ journey_moves('touches', ref('journey_stages'), ref('journey_transitions'), as_of()) }}
) as moves
