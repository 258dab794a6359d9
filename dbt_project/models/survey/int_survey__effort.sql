{#- Observed effort of every customer; who never had to contact the company has had none. -#}
with customers as (
    select distinct customer_id from {{ ref('int_identity__assignments') }}
),

served as (
    select
        customer_id,
        sum(messages) as messages,
        sum(channel_switches) as channel_switches,
        sum(handoffs) as handoffs,
        sum(repeat_contacts) as repeat_contacts,
        sum(cast(wait_minutes as decimal(18, 4))) as wait_minutes
    from {{ ref('int_survey__contact_effort') }}
    group by customer_id
),

ranked as (
    select *, {{ effort_index() }} as effort_index from served
)

select
    customers.customer_id,
    {% for part in effort_parts() %}
    coalesce(ranked.{{ part }}, 0) as {{ part }},
    {% endfor %}
    ranked.customer_id is not null as was_served,
    coalesce(ranked.effort_index, 0) as effort_index
from customers
left join ranked on customers.customer_id = ranked.customer_id
