{#- By the month of entry. Only entries whose window has ended count: young ones are still on their way. -#}
with entries as (
    select *, cast(date_trunc('month', entered_on) as date) as month_start
    from {{ ref('fct_funnel_entries') }}
),

internal as (
    select customer_id from {{ ref('int_commerce__internal_customers') }}
),

steps as (
    select
        funnels.funnel,
        funnels.step,
        funnels.step_name,
        periods.period_grain,
        case periods.period_grain when 'month' then entries.month_start end as period_start,
        entries.is_mature,
        entries.steps_reached
    from entries
    inner join {{ ref('funnels') }} as funnels on entries.funnel = funnels.funnel
    cross join (values ('month'), ('all')) as periods (period_grain)
    anti join internal on entries.customer_id = internal.customer_id
),

counted as (
    select
        funnel, step, step_name, period_grain, period_start,
        count(*) filter (where is_mature) as entered,
        count(*) filter (where is_mature and steps_reached >= step) as reached,
        count(*) filter (where is_mature and steps_reached >= step - 1) as reached_before,
        count(*) filter (where not is_mature) as immature
    from steps
    group by all
),

final as (
    select
        *,
        concat_ws('|', funnel, coalesce(strftime(period_start, '%Y-%m'), 'all'), step) as funnel_step_key,
        reached / nullif(entered, 0) as share_of_entered,
        {{ wilson('reached', 'entered', 'low') }} as ci_low,
        {{ wilson('reached', 'entered', 'high') }} as ci_high,
        reached / nullif(reached_before, 0) as share_of_step_before,
        {{ wilson('reached', 'reached_before', 'low') }} as step_ci_low,
        {{ wilson('reached', 'reached_before', 'high') }} as step_ci_high
    from counted
)

select {{ contract_columns() }} from final
