{#- What is odd but was not set aside, counted, with one example. -#}
with orders as (
    select * from {{ ref('orders') }}
),

findings as (
    select
        'orders' as model, source, 'unknown_customer' as finding,
        'the customer of the order is in no customer file; one was inferred' as explanation, order_key as example
    from orders
    where
        person_record_key is not null
        and person_record_key not in (select person_record_key from {{ ref('person_records') }})
    union all
    select 'order_lines', source, 'unknown_order', 'the order of the line is not known', order_line_key
    from {{ ref('order_lines') }}
    where order_key not in (select order_key from orders)
    union all
    select 'payments', source, 'unknown_order', 'the order of the payment is not known', payment_key
    from {{ ref('payments') }}
    where order_key not in (select order_key from orders)
    union all
    select
        'refunds', source, 'unknown_order',
        'the order of the refund is not known: it is in no revenue, net of refunds or not', refund_key
    from {{ ref('fct_refunds') }}
    where ordered_on is null
    union all
    select
        'refunds', source, 'no_exchange_rate',
        'no rate on the day of the refund: it counts as nothing given back', refund_key
    from {{ ref('fct_refunds') }}
    where
        amount is not null and ordered_on is not null
        and (amount_reporting is null or amount_in_order_currency is null)
    union all
    select 'survey_responses', source, 'unknown_order', 'the order of the answer is not known', survey_response_key
    from {{ ref('int_survey__responses') }}
    where order_key is not null and order_key not in (select order_key from orders)
    union all
    select 'order_lines', source, 'unknown_product', 'the product of the line is not known', order_line_key
    from {{ ref('order_lines') }}
    where product_key is not null and product_key not in (select product_key from {{ ref('products') }})
    union all
    select 'orders', source, 'no_lines', 'the order has no line', order_key
    from orders
    where order_key not in (select order_key from {{ ref('order_lines') }})
    union all
    select 'orders', source, 'delivered_before_ordered', 'delivery comes before the order', order_key
    from orders where delivered_at < ordered_at
    union all
    select 'orders', source, 'no_exchange_rate', 'no rate into the reporting currency on that day', order_key
    from {{ ref('fct_orders') }} where reporting_rate is null
    union all
    select
        'survey_responses', source, 'no_answer_time',
        'the answer has no time: it counts in totals, in no period and in no journey', response_key
    from {{ ref('fct_survey_responses') }} where responded_at is null
    union all
    select
        'survey_responses', source, 'unexpected_scale',
        'the scale is not the one of its kind (NPS 0-10, CSAT 1-5, CES 1-7): not in that KPI', response_key
    from {{ ref('fct_survey_responses') }}
    where
        (kind = 'nps' and nps_group is null)
        or (kind = 'csat' and is_satisfied is null)
        or (kind = 'ces' and is_easy is null and ces_version is null)
    union all
    select
        'surveys', surveys.source, 'wording_without_scale',
        'the question is worded as an NPS, CSAT or CES and not asked on its scale: not in that KPI', surveys.survey_key
    from {{ ref('int_survey__ratings') }} as ratings
    inner join {{ ref('surveys') }} as surveys on ratings.survey_key = surveys.survey_key
    where ratings.kind = 'other' and ratings.worded_kind is not null
    union all
    select
        'survey_submissions', source, 'no_rating',
        'finished, but no rating was found in it: it is no survey response', survey_submission_key
    from {{ ref('survey_submissions') }}
    where
        is_partial is distinct from true
        and survey_submission_key not in (select survey_response_key from {{ ref('int_survey__responses') }})
    union all
    select 'survey_responses', source, 'unknown_person', 'nobody is known to have given this answer', response_key
    from {{ ref('fct_survey_responses') }} where customer_id is null
    union all
    select
        'schedules', source, 'unknown_time_zone',
        'the time zone of the business hours is not known: its tickets have no business time', schedule_key
    from {{ ref('schedules') }}
    where schedule_key not in (select schedule_key from {{ ref('int_service__open_hours') }})
    union all
    select concept || 's', source, 'after_as_of', 'dated later than the data was taken', record_key
    from {{ ref('fct_interactions') }}
    where occurred_at > {{ as_of() }}
    {% for model, key, text in [
        ('messages', 'message_key', 'body'), ('survey_responses', 'survey_response_key', 'comment'),
        ('reviews', 'review_key', 'body'), ('tickets', 'ticket_key', 'subject'),
    ] %}
    union all
    select '{{ model }}', source, 'long_text', 'text of more than 65,536 characters in {{ text }}', {{ key }}
    from {{ ref(model) }} where length({{ text }}) > 65536
    {% endfor %}
)

select model, source, finding, min(explanation) as explanation, count(*) as records, min(example) as example
from findings
group by model, source, finding
