{#- Per survey and month of invitation. People of the company itself are not eligible: they are left out, and
    tell how many of those whose eligibility is unknown may be eligible (e). -#}
with people as (
    select customer_id, is_test or is_employee as is_internal from {{ ref('customer_360') }}
),

invitations as (
    select invitations.*, coalesce(people.is_internal, false) as is_internal
    from {{ ref('fct_survey_invitations') }} as invitations
    left join people on invitations.customer_id = people.customer_id
),

counted as (
    select
        survey_key,
        grains.period_grain,
        case when grains.period_grain = 'month' then cast(date_trunc('month', sent_on) as date) end as period_start,
        min(source) as source,
        min(kind) as kind,
        count(*) filter (where not is_internal) as invited,
        {% for outcome in ['complete', 'partial', 'refused', 'no answer', 'unknown'] %}
        count(*) filter (where outcome = '{{ outcome }}' and not is_internal) as {{ outcome | replace(' ', '_') }},
        {% endfor %}
        count(*) filter (where is_internal) as ineligible,
        count(*) filter (where outcome <> 'unknown' and not is_internal)
        / nullif(count(*) filter (where is_internal or outcome <> 'unknown'), 0) as eligible_share
    from invitations
    cross join (values ('month'), ('all')) as grains (period_grain)
    where survey_key is not null
    group by 1, 2, 3
),

final as (
    select
        *,
        concat_ws(' ', survey_key, period_grain, cast(period_start as varchar)) as rate_key,
    {% for number in range(1, 7) %}
    {% set top, bottom = response_rate(number, 'numerator'), response_rate(number, 'denominator') %}
    ({{ top }}) / nullif({{ bottom }}, 0) as rr{{ number }},
    {{ wilson('(' ~ top ~ ')', '(' ~ bottom ~ ')', 'low') }} as rr{{ number }}_ci_low,
    {{ wilson('(' ~ top ~ ')', '(' ~ bottom ~ ')', 'high') }} as rr{{ number }}_ci_high{{ ',' if not loop.last }}
    {% endfor %}
    from counted
    where invited > 0
)

select {{ contract_columns() }} from final
