{#- Steps are found one after the other: of each, the first act that is not before the step before. To
    take the earliest of each step gets as far as any other choice. -#}
{% set most_steps = 8 %}
{% set times = [] %}
{% for step in range(1, most_steps + 1) %}{% do times.append('step_' ~ step ~ '_at') %}{% endfor %}
with acts as (
    select distinct funnel, step, actor_key, occurred_at
    from {{ ref('int_marketing__funnel_actions') }}
    where actor_key is not null
),

funnels as (
    select funnel, any_value(entity) as entity, any_value(window_days) as window_days, max(step) as steps
    from {{ ref('funnels') }}
    group by funnel
),

counted as (
    select funnel, step, counted_by from {{ ref('funnels') }}
),

step_1 as (
    select
        funnel,
        entity_key,
        arg_min(customer_id, (occurred_at, customer_id)) as customer_id,
        min(occurred_at) as step_1_at
    from {{ ref('int_marketing__funnel_actions') }}
    where step = 1
    group by funnel, entity_key
),

{% for step in range(2, most_steps + 1) %}
acts_{{ step }} as (
    select funnel, actor_key, occurred_at from acts where step = {{ step }}
),

step_{{ step }} as (
    select
        entries.*,
        case
            when acts_{{ step }}.occurred_at <= entries.step_1_at + to_days(funnels.window_days)
                then acts_{{ step }}.occurred_at
        end as step_{{ step }}_at
    from (
        select
            step_{{ step - 1 }}.*{{ ' exclude (actor_key)' if step > 2 }},
            -- who has not come to the step before does not look for this one: a null time would match any
            case
                when step_{{ step - 1 }}_at is null then null
                when counted.counted_by = 'customer' then customer_id
                else entity_key
            end as actor_key
        from step_{{ step - 1 }}
        left join counted on step_{{ step - 1 }}.funnel = counted.funnel and counted.step = {{ step }}
    ) as entries
    inner join funnels on entries.funnel = funnels.funnel
    asof left join acts_{{ step }}
        on
            entries.funnel = acts_{{ step }}.funnel
            and entries.actor_key = acts_{{ step }}.actor_key
            and entries.step_{{ step - 1 }}_at <= acts_{{ step }}.occurred_at
),
{% endfor %}

reached as (
    select
        step_{{ most_steps }}.* exclude (actor_key),
        funnels.entity,
        funnels.steps,
        funnels.window_days,
        [{{ times | join(', ') }}] as times
    from step_{{ most_steps }}
    inner join funnels on step_{{ most_steps }}.funnel = funnels.funnel
),

final as (
    select
        *,
        funnel || '|' || entity_key as funnel_entry_key,
        step_1_at as entered_at,
        {{ reporting_date('step_1_at') }} as entered_on,
        step_1_at + to_days(window_days) as window_ends_at,
        step_1_at + to_days(window_days) <= {{ as_of() }} as is_mature,
        list_count(times) as steps_reached,
        list_count(times) = steps as is_converted,
        date_diff('second', step_1_at, list_max(times)) / 3600.0 as hours_to_last_step
    from reached
)

select {{ contract_columns() }} from final
