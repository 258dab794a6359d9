{#- Each area is brought to one row per customer before it is joined, so that nothing fans out. -#}
{% set attributes = [
    'full_name', 'first_name', 'last_name', 'birth_date', 'email', 'phone', 'street', 'postal_code', 'city',
    'region', 'country', 'language', 'company_name', 'job_title', 'acquisition_channel',
] %}
{% set completeness_of = [
    'full_name', 'email', 'phone', 'street', 'postal_code', 'city', 'country', 'birth_date', 'language',
    'has_email_consent',
] %}
with identities as (
    select
        customer_id,
        count(*) as records,
        count(distinct source) as sources,
        string_agg(distinct source, ', ' order by source) as source_names,
        count(*) filter (where record_type = 'inferred') = count(*) as is_inferred,
        count(*) filter (
            where source_record_id like 'visitor:%' and record_type = 'inferred'
        ) = count(*) as is_anonymous,
        min(since) as known_since
    from {{ ref('bridge_customer_records') }}
    group by customer_id
),

golden as (
    select
        customer_id,
        {% for name in attributes %}
        max(value) filter (where attribute = '{{ name }}') as {{ name }},
        {% endfor %}
        max(source) filter (where attribute = 'full_name') as name_source,
        max(source) filter (where attribute = 'email') as email_source,
        max(source) filter (where attribute = 'phone') as phone_source,
        max(source) filter (where attribute_group = 'address') as address_source
    from {{ ref('customer_attributes') }}
    group by customer_id
),

flags as (
    select
        assignments.customer_id,
        coalesce(bool_or(records.is_test), false) as is_test,
        coalesce(bool_or(records.is_employee), false) as is_employee,
        min(records.created_at) as first_recorded_at
    from {{ ref('person_records') }} as records
    inner join {{ ref('int_identity__assignments') }} as assignments
        on records.person_record_key = assignments.record_key
    group by assignments.customer_id
),

consents as (
    select customer_id, has_email_consent from {{ ref('int_identity__consents') }}
),

households as (
    select customer_id, household_id from {{ ref('int_identity__households') }}
),

orders as (
    select
        customer_id,
        count(*) as orders_placed,
        count(*) filter (where is_valid) as valid_orders,
        min(ordered_at) filter (where is_valid) as first_ordered_at,
        max(ordered_at) filter (where is_valid) as last_ordered_at,
        sum(revenue_reporting) filter (where is_valid) as revenue_reporting,
        sum(refunded_reporting) as refunded_reporting,
        sum(revenue_reporting) filter (where is_valid)
        / count(revenue_reporting) filter (where is_valid) as average_order_value_reporting,
        count(*) filter (where is_late) as late_deliveries,
        avg(date_diff('second', ordered_at, delivered_at)) / 86400 as average_delivery_days
    from {{ ref('fct_orders') }}
    where customer_id is not null
    group by customer_id
),

tickets as (
    select
        customer_id,
        count(*) as tickets,
        count(*) filter (where is_open) as open_tickets,
        max(created_at) as last_ticket_at,
        avg(date_diff('second', created_at, first_replied_at)) / 3600 as average_first_reply_hours,
        avg(date_diff('second', created_at, solved_at)) / 3600 as average_resolution_hours,
        sum(reopens) as reopens
    from {{ ref('fct_tickets') }}
    where customer_id is not null
    group by customer_id
),

sales as (
    select
        customer_id,
        count(*) as opportunities,
        count(*) filter (where is_won) as won_opportunities,
        min(created_at) as first_lead_at
    from {{ ref('fct_opportunities') }}
    where customer_id is not null and converted_from_key is null
    group by customer_id
),

engagement as (
    select
        customer_id,
        count(*) as interactions,
        count(*) filter (where direction = 'inbound') as inbound_interactions,
        count(distinct channel) as channels,
        min(occurred_at) as first_interaction_at,
        max(occurred_at) as last_interaction_at,
        count(*) filter (
            where occurred_at > {{ as_of() }} - interval 90 day and occurred_at <= {{ as_of() }}
        ) as interactions_90_days,
        arg_max(channel, (occurred_at, interaction_key)) as last_channel
    from {{ ref('fct_interactions') }}
    where customer_id is not null
    group by customer_id
),

joined as (
    select
        identities.*,
        golden.* exclude (customer_id),
        coalesce(flags.is_test, false) as is_test,
        coalesce(flags.is_employee, false) as is_employee,
        flags.first_recorded_at,
        consents.has_email_consent,
        households.household_id,
        coalesce(orders.orders_placed, 0) as orders_placed,
        coalesce(orders.valid_orders, 0) as valid_orders,
        orders.first_ordered_at,
        orders.last_ordered_at,
        coalesce(orders.revenue_reporting, 0) as revenue_reporting,
        coalesce(orders.refunded_reporting, 0) as refunded_reporting,
        orders.average_order_value_reporting,
        coalesce(orders.late_deliveries, 0) as late_deliveries,
        orders.average_delivery_days,
        coalesce(tickets.tickets, 0) as tickets,
        coalesce(tickets.open_tickets, 0) as open_tickets,
        tickets.last_ticket_at,
        tickets.average_first_reply_hours,
        tickets.average_resolution_hours,
        coalesce(tickets.reopens, 0) as reopens,
        coalesce(sales.opportunities, 0) as opportunities,
        coalesce(sales.won_opportunities, 0) as won_opportunities,
        sales.first_lead_at,
        coalesce(engagement.interactions, 0) as interactions,
        coalesce(engagement.inbound_interactions, 0) as inbound_interactions,
        coalesce(engagement.channels, 0) as channels,
        engagement.first_interaction_at,
        engagement.last_interaction_at,
        coalesce(engagement.interactions_90_days, 0) as interactions_90_days,
        engagement.last_channel
    from identities
    left join golden on identities.customer_id = golden.customer_id
    left join flags on identities.customer_id = flags.customer_id
    left join consents on identities.customer_id = consents.customer_id
    left join households on identities.customer_id = households.customer_id
    left join orders on identities.customer_id = orders.customer_id
    left join tickets on identities.customer_id = tickets.customer_id
    left join sales on identities.customer_id = sales.customer_id
    left join engagement on identities.customer_id = engagement.customer_id
),

final as (
    select
        joined.*,
        of_journey.journey_stage,
        of_journey.journey_stage_since,
        of_journey.journey_spans,
        of_journey.previous_journey_stage,
        of_journey.furthest_journey_stage,
        of_journey.journey_reentries,
        of_journey.journey_win_backs,
        of_journey.days_since_last_touch,
        of_commerce.expected_gap_days,
        of_commerce.is_lapsed,
        of_commerce.refunded_share,
        of_commerce.recency_score,
        of_commerce.frequency_score,
        of_commerce.monetary_score,
        of_commerce.rfm_group,
        of_commerce.clv_to_date_reporting,
        of_commerce.p_alive,
        of_commerce.expected_purchases_12_months,
        of_commerce.clv_12_months_reporting,
        of_service.contacts,
        of_service.repeat_contacts,
        of_service.tickets_12_months,
        of_service.mean_wait_minutes,
        of_service.last_ticket_satisfaction,
        of_voice.* exclude (customer_id),
        of_marketing.first_touch_channel,
        of_marketing.last_touch_channel,
        of_marketing.marketing_touches,
        of_marketing.web_sessions,
        of_marketing.last_unsubscribed_at,
        case
            when valid_orders >= 2 then 'repeat customer'
            when valid_orders = 1 then 'customer'
            when won_opportunities > 0 then 'customer'
            when opportunities > 0 then 'lead'
            when orders_placed > 0 then 'customer without valid order'
            when is_anonymous then 'visitor'
            else 'contact'
        end as lifecycle,
        date_diff(
            'day', {{ reporting_date('last_ordered_at') }}, {{ reporting_date(as_of()) }}
        ) as days_since_last_order,
        (
            {% for field in completeness_of %}
            ({{ field }} is not null)::int{{ ' +' if not loop.last }}
            {% endfor %}
        ) / {{ completeness_of | length }}.0 as completeness,
        {{ as_of() }} as as_of,
        {{ reporting_date(as_of()) }} as as_of_on
    from joined
    left join {{ ref('int_journey__customers') }} as of_journey on joined.customer_id = of_journey.customer_id
    left join {{ ref('int_commerce__customers') }} as of_commerce on joined.customer_id = of_commerce.customer_id
    left join {{ ref('int_service__customers') }} as of_service on joined.customer_id = of_service.customer_id
    left join {{ ref('int_survey__customers') }} as of_voice on joined.customer_id = of_voice.customer_id
    left join {{ ref('int_marketing__customers') }} as of_marketing on joined.customer_id = of_marketing.customer_id
)

select {{ contract_columns() }} from final
