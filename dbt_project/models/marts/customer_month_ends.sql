{#- What is known now of each customer at the end of a month: all that had happened until then. Only
    months in which something happened have a row; it holds until the next one. -#}
with events as (
    select
        customer_id,
        ordered_on as day,
        1 as orders_placed,
        is_valid::int as valid_orders,
        case when is_valid then revenue_reporting end as revenue_reporting,
        0 as tickets,
        0 as survey_responses,
        0 as interactions,
        null as journey_stage,
        null as span_number
    from {{ ref('fct_orders') }}
    union all by name
    select customer_id, created_on as day, 1 as tickets from {{ ref('fct_tickets') }}
    union all by name
    select customer_id, responded_on as day, 1 as survey_responses from {{ ref('fct_survey_responses') }}
    union all by name
    select customer_id, {{ reporting_date('occurred_at') }} as day, 1 as interactions
    from {{ ref('fct_interactions') }}
    union all by name
    select customer_id, {{ reporting_date('entered_at') }} as day, journey_stage, span_number
    from {{ ref('fct_journey_stage_spans') }}
),

months as (
    select
        customer_id,
        last_day(day) as month_end,
        {% for name in ('orders_placed', 'valid_orders', 'tickets', 'survey_responses', 'interactions') %}
        coalesce(sum({{ name }}), 0) as {{ name }},
        {% endfor %}
        coalesce(sum(revenue_reporting), 0) as revenue_reporting,
        arg_max(journey_stage, span_number) as journey_stage
    from events
    where customer_id is not null and day <= {{ reporting_date(as_of()) }}
    group by all
),

final as (
    select
        customer_id,
        month_end,
        lead(month_end) over (partition by customer_id order by month_end) as next_month_end,
        {% for name in (
            'orders_placed', 'valid_orders', 'tickets', 'survey_responses', 'interactions', 'revenue_reporting'
        ) %}
        sum({{ name }}) over until_then as {{ name }},
        {% endfor %}
        last_value(journey_stage ignore nulls) over until_then as journey_stage
    from months
    window until_then as (partition by customer_id order by month_end rows unbounded preceding)
)

select {{ contract_columns() }} from final
