{#- Written by `python -m dbt_project.kpis` out of dbt_project/kpis/*.yml.
    What additive KPIs add up, per day, source and region: `total` over `weight`, with the squares
    that an interval needs. Sums are of decimals: those of floating numbers would depend on the
    order of the rows. Ratios are formed only after adding, never averaged. -#}
-- noqa: disable=LT02
with people as (
    select customer_id, coalesce(region, country) as region, is_test or is_employee as is_internal
    from {{ ref('customer_360') }}
),

fct_opportunities as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_opportunities') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_campaign_messages as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_campaign_messages') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

int_marketing__leads as (
    select facts.*, people.region as region_of_customer
    from {{ ref('int_marketing__leads') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_web_sessions as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_web_sessions') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_orders as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_orders') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

int_commerce__money_events as (
    select facts.*, people.region as region_of_customer
    from {{ ref('int_commerce__money_events') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_carts as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_carts') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_refunds as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_refunds') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_tickets as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_tickets') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_service_contacts as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_service_contacts') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_issues as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_issues') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_help_sessions as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_help_sessions') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_survey_responses as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_survey_responses') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

fct_reviews as (
    select facts.*, people.region as region_of_customer
    from {{ ref('fct_reviews') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

int_kpis__order_responses as (
    select facts.*, people.region as region_of_customer
    from {{ ref('int_kpis__order_responses') }} as facts
    left join people on facts.customer_id = people.customer_id
    where not coalesce(people.is_internal, false)
),

observations as (
    select
        'leads' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_opportunities
    where
        converted_from_key is null
    union all
    select
        'emails_sent' as kpi_id,
        sent_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_campaign_messages
    where
        is_sent
    union all
    select
        'email_delivery_rate' as kpi_id,
        sent_on as day,
        source,
        region_of_customer as region,
        cast(is_delivered::int as decimal(18, 4)) as total
    from fct_campaign_messages
    where
        is_sent
    union all
    select
        'email_bounce_rate' as kpi_id,
        sent_on as day,
        source,
        region_of_customer as region,
        cast(is_bounced::int as decimal(18, 4)) as total
    from fct_campaign_messages
    where
        is_sent
    union all
    select
        'email_open_rate' as kpi_id,
        sent_on as day,
        source,
        region_of_customer as region,
        cast(is_opened::int as decimal(18, 4)) as total
    from fct_campaign_messages
    where
        is_delivered
    union all
    select
        'email_unsubscribe_rate' as kpi_id,
        sent_on as day,
        source,
        region_of_customer as region,
        cast(is_unsubscribed::int as decimal(18, 4)) as total
    from fct_campaign_messages
    where
        is_delivered
    union all
    select
        'lead_to_deal_conversion' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_won::int as decimal(18, 4)) as total
    from fct_opportunities
    where
        converted_from_key is null
    union all
    select
        'lead_conversion_30d' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_won_30d::int as decimal(18, 4)) as total
    from int_marketing__leads
    where
        is_won_30d is not null
    union all
    select
        'lead_conversion_90d' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_won_90d::int as decimal(18, 4)) as total
    from int_marketing__leads
    where
        is_won_90d is not null
    union all
    select
        'new_website_visitors' as kpi_id,
        started_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_web_sessions
    where
        customer_session_number = 1
    union all
    select
        'web_sessions' as kpi_id,
        started_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_web_sessions
    where
        true
    union all
    select
        'email_click_rate' as kpi_id,
        sent_on as day,
        source,
        region_of_customer as region,
        cast(is_clicked::int as decimal(18, 4)) as total
    from fct_campaign_messages
    where
        is_delivered
    union all
    select
        'email_click_to_open_rate' as kpi_id,
        sent_on as day,
        source,
        region_of_customer as region,
        cast(is_clicked::int as decimal(18, 4)) as total
    from fct_campaign_messages
    where
        is_delivered and (is_opened or is_clicked)
    union all
    select
        'orders' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_orders
    union all
    select
        'valid_orders' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'revenue' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(revenue_reporting as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'average_order_value' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(revenue_reporting as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'gross_revenue' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(total_reporting as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'gross_order_value' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(total_reporting as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'net_revenue' as kpi_id,
        happened_on as day,
        source,
        region_of_customer as region,
        cast(amount as decimal(18, 4)) as total
    from int_commerce__money_events
    union all
    select
        'net_revenue_by_order_date' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(amount_at_order as decimal(18, 4)) as total
    from int_commerce__money_events
    union all
    select
        'cart_abandonment_rate_1h' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_abandoned_1h::int as decimal(18, 4)) as total
    from fct_carts
    union all
    select
        'cart_abandonment_rate_24h' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_abandoned_24h::int as decimal(18, 4)) as total
    from fct_carts
    union all
    select
        'cart_abandonment_rate_72h' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_abandoned_72h::int as decimal(18, 4)) as total
    from fct_carts
    union all
    select
        'cart_abandonment_rate_30d' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_abandoned_30d::int as decimal(18, 4)) as total
    from fct_carts
    union all
    select
        'cart_recovery_rate_24h' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_recovered_24h::int as decimal(18, 4)) as total
    from fct_carts
    union all
    select
        'cart_recovery_rate_72h' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_recovered_72h::int as decimal(18, 4)) as total
    from fct_carts
    union all
    select
        'cart_recovery_rate_30d' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_recovered_30d::int as decimal(18, 4)) as total
    from fct_carts
    union all
    select
        'new_customers' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_orders
    where
        customer_order_number = 1
    union all
    select
        'session_conversion_rate' as kpi_id,
        started_on as day,
        source,
        region_of_customer as region,
        cast((orders > 0)::int as decimal(18, 4)) as total
    from fct_web_sessions
    where
        is_over
    union all
    select
        'refunds' as kpi_id,
        refunded_on as day,
        source,
        region_of_customer as region,
        cast(amount_reporting as decimal(18, 4)) as total
    from fct_refunds
    union all
    select
        'refunds_by_order_date' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast(amount_reporting_at_order as decimal(18, 4)) as total
    from fct_refunds
    union all
    select
        'refunded_order_rate' as kpi_id,
        ordered_on as day,
        source,
        region_of_customer as region,
        cast((refunded_amount > 0)::int as decimal(18, 4)) as total
    from fct_orders
    where
        is_valid
    union all
    select
        'late_delivery_rate' as kpi_id,
        delivered_on as day,
        source,
        region_of_customer as region,
        cast(is_late::int as decimal(18, 4)) as total
    from fct_orders
    union all
    select
        'late_delivery_rate_by_promise' as kpi_id,
        promised_on as day,
        source,
        region_of_customer as region,
        cast(has_missed_promise::int as decimal(18, 4)) as total
    from fct_orders
    union all
    select
        'tickets' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_tickets
    union all
    select
        'first_reply_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(first_reply_hours as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'first_reply_business_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(first_reply_business_hours as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'first_resolution_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(first_resolution_hours as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'first_resolution_business_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(first_resolution_business_hours as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'full_resolution_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(full_resolution_hours as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'full_resolution_business_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(full_resolution_business_hours as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'requester_wait_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(requester_wait_minutes / 60 as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'requester_wait_business_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(requester_wait_business_minutes / 60 as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'agent_wait_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(agent_wait_minutes / 60 as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'agent_wait_business_hours' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(agent_wait_business_minutes / 60 as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'waiting_time_hours' as kpi_id,
        started_on as day,
        source,
        region_of_customer as region,
        cast(wait_minutes / 60 as decimal(18, 4)) as total
    from fct_service_contacts
    where
        not is_open and not is_merged
    union all
    select
        'one_touch_rate' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_one_touch::int as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'reopen_rate' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast((reopens > 0)::int as decimal(18, 4)) as total
    from fct_tickets
    where
        first_solved_at is not null and not is_merged
    union all
    select
        'ticket_handoffs' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(handoffs as decimal(18, 4)) as total
    from fct_tickets
    where
        not is_merged
    union all
    select
        'ticket_satisfaction' as kpi_id,
        created_on as day,
        source,
        region_of_customer as region,
        cast(is_rated_good::int as decimal(18, 4)) as total
    from fct_tickets
    where
        last_rating in ('good', 'bad')
    union all
    select
        'first_contact_resolution_1d' as kpi_id,
        resolved_on as day,
        source,
        region_of_customer as region,
        cast(is_resolved_1d::int as decimal(18, 4)) as total
    from fct_issues
    union all
    select
        'first_contact_resolution_3d' as kpi_id,
        resolved_on as day,
        source,
        region_of_customer as region,
        cast(is_resolved_3d::int as decimal(18, 4)) as total
    from fct_issues
    union all
    select
        'first_contact_resolution_7d' as kpi_id,
        resolved_on as day,
        source,
        region_of_customer as region,
        cast(is_resolved_7d::int as decimal(18, 4)) as total
    from fct_issues
    union all
    select
        'first_contact_resolution_14d' as kpi_id,
        resolved_on as day,
        source,
        region_of_customer as region,
        cast(is_resolved_14d::int as decimal(18, 4)) as total
    from fct_issues
    union all
    select
        'first_contact_resolution_30d' as kpi_id,
        resolved_on as day,
        source,
        region_of_customer as region,
        cast(is_resolved_30d::int as decimal(18, 4)) as total
    from fct_issues
    union all
    select
        'customer_service_success_rate' as kpi_id,
        finished_on as day,
        source,
        region_of_customer as region,
        cast(is_success::int as decimal(18, 4)) as total
    from fct_tickets
    union all
    select
        'tickets_solved_share' as kpi_id,
        finished_on as day,
        source,
        region_of_customer as region,
        cast((first_solved_at is not null)::int as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'tickets_within_sla_share' as kpi_id,
        finished_on as day,
        source,
        region_of_customer as region,
        cast(is_within_sla::int as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'tickets_stayed_solved_share' as kpi_id,
        finished_on as day,
        source,
        region_of_customer as region,
        cast(has_stayed_solved::int as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'tickets_not_bad_share' as kpi_id,
        finished_on as day,
        source,
        region_of_customer as region,
        cast((last_rating <> 'bad')::int as decimal(18, 4)) as total
    from fct_tickets
    where
        is_finished
    union all
    select
        'help_containment_24h' as kpi_id,
        started_on as day,
        source,
        region_of_customer as region,
        cast(is_contained_24h::int as decimal(18, 4)) as total
    from fct_help_sessions
    union all
    select
        'help_containment_72h' as kpi_id,
        started_on as day,
        source,
        region_of_customer as region,
        cast(is_contained_72h::int as decimal(18, 4)) as total
    from fct_help_sessions
    union all
    select
        'ces' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(is_easy::int as decimal(18, 4)) as total
    from fct_survey_responses
    union all
    select
        'ces_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    where
        kind = 'ces'
    union all
    select
        'ces_mean' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(score as decimal(18, 4)) as total
    from fct_survey_responses
    where
        ces_version = '2.0'
    union all
    select
        'ces_effort' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(score as decimal(18, 4)) as total
    from fct_survey_responses
    where
        ces_version = '1.0'
    union all
    select
        'review_rating' as kpi_id,
        reviewed_on as day,
        source,
        region_of_customer as region,
        cast(stars as decimal(18, 4)) as total
    from fct_reviews
    union all
    select
        'positive_reviews' as kpi_id,
        reviewed_on as day,
        source,
        region_of_customer as region,
        cast(is_positive::int as decimal(18, 4)) as total
    from fct_reviews
    union all
    select
        'csat' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(is_satisfied::int as decimal(18, 4)) as total
    from fct_survey_responses
    union all
    select
        'csat_per_order' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(is_satisfied::int as decimal(18, 4)) as total
    from int_kpis__order_responses
    union all
    select
        'nps' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(case nps_group when 'promoter' then 1 when 'detractor' then -1 else 0 end as decimal(18, 4)) as total
    from fct_survey_responses
    where
        nps_group is not null
    union all
    select
        'survey_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    union all
    select
        'csat_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    where
        kind = 'csat'
    union all
    select
        'nps_responses' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(1 as decimal(18, 4)) as total
    from fct_survey_responses
    where
        kind = 'nps'
    union all
    select
        'csat_mean_score' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast(score as decimal(18, 4)) as total
    from fct_survey_responses
    where
        is_satisfied is not null
    union all
    select
        'csat_top_box' as kpi_id,
        responded_on as day,
        source,
        region_of_customer as region,
        cast((score = 5)::int as decimal(18, 4)) as total
    from fct_survey_responses
    where
        is_satisfied is not null
)

select
    kpi_id,
    day,
    source,
    coalesce(region, '(unknown)') as region,
    sum(total) as total,
    count(*) as weight,
    sum(cast(total as decimal(38, 4)) * cast(total as decimal(38, 4))) as squares
from observations
where total is not null
group by all
