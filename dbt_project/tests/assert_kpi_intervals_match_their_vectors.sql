{{ config(tags=['macro_vectors']) }}
-- Written by `python -m dbt_project.kpis` out of dbt_project/kpis/*.yml.
with vectors (kpi_id, method, total, squares, n, value, low, high, tolerance) as (
    values
    ('lead_to_deal_conversion', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('average_order_value', 'mean', 100.0, 3000.0, 4.0, 25.0, 12.3486, 37.6514, 0.0006),
    ('gross_order_value', 'mean', 100.0, 3000.0, 4.0, 25.0, 12.3486, 37.6514, 0.0006),
    ('cart_abandonment_rate_1h', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cart_abandonment_rate_24h', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cart_abandonment_rate_72h', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cart_abandonment_rate_30d', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cart_recovery_rate_24h', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cart_recovery_rate_72h', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cart_recovery_rate_30d', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('session_conversion_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('refunded_order_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('late_delivery_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('late_delivery_rate_by_promise', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('first_reply_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('first_reply_business_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('first_resolution_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('first_resolution_business_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('full_resolution_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('full_resolution_business_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('requester_wait_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('requester_wait_business_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('agent_wait_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('agent_wait_business_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('waiting_time_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('one_touch_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('reopen_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('ticket_handoffs', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('ticket_satisfaction', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('first_contact_resolution_1d', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('first_contact_resolution_3d', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('first_contact_resolution_7d', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('first_contact_resolution_14d', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('first_contact_resolution_30d', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('sla_attainment_first_reply', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('sla_attainment_next_reply', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('sla_attainment_requester_wait', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('sla_attainment_agent_work', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('customer_service_success_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('tickets_solved_share', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('tickets_within_sla_share', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('tickets_stayed_solved_share', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('tickets_not_bad_share', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('help_containment_24h', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('help_containment_72h', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('ces', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('ces_mean', 'mean', 20.0, 90.0, 5.0, 4.0, 2.614, 5.386, 0.0006),
    ('ces_effort', 'mean', 20.0, 90.0, 5.0, 4.0, 2.614, 5.386, 0.0006),
    ('review_rating', 'mean', 20.0, 90.0, 5.0, 4.0, 2.614, 5.386, 0.0006),
    ('positive_reviews', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('repeat_purchase_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cohort_retention', 'wilson', 5.0, 5.0, 5.0, 1.0, 0.566, 1.0, 0.0006),
    ('retention_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('churn_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('journey_backward_share', 'wilson', 5.0, 5.0, 5.0, 1.0, 0.566, 1.0, 0.0006),
    ('csat', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('csat', 'wilson', 5.0, 5.0, 5.0, 1.0, 0.566, 1.0, 0.0006),
    ('csat_per_order', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('nps', 'net score', 30.0, 70.0, 100.0, 30.0, 14.7, 45.3, 0.06),
    ('nps', 'net score', 150.0, 350.0, 500.0, 30.0, 23.2, 36.8, 0.06),
    ('nps', 'net score', 7.0, 11.0, 14.0, 50.0, 11.7, 88.3, 0.06),
    ('csat_mean_score', 'mean', 20.0, 90.0, 5.0, 4.0, 2.614, 5.386, 0.0006),
    ('csat_top_box', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006)
),

made as (
    select
        *,
        case method when 'net score' then 100 else 1 end * total / n as made_value,
        case method
            when 'wilson' then {{ wilson('total', 'n', 'low') }}
            when 'mean' then {{ mean_bound('total', 'squares', 'n', 'low') }}
            when 'net score' then 100 * {{ net_score_bound('total', 'squares', 'n', 'low') }}
        end as made_low,
        case method
            when 'wilson' then {{ wilson('total', 'n', 'high') }}
            when 'mean' then {{ mean_bound('total', 'squares', 'n', 'high') }}
            when 'net score' then 100 * {{ net_score_bound('total', 'squares', 'n', 'high') }}
        end as made_high
    from vectors
)

select * from made
where
    coalesce(abs(made_value - value), 0) > tolerance
    or coalesce(abs(made_low - low) > tolerance, true)
    or coalesce(abs(made_high - high) > tolerance, true)
