{{ config(tags=['macro_vectors']) }}
-- Written by `python -m dbt_project.kpis` out of dbt_project/kpis/*.yml.
with vectors (kpi_id, method, total, squares, n, value, low, high, tolerance) as (
    values
    ('lead_to_deal_conversion', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('average_order_value', 'mean', 100.0, 3000.0, 4.0, 25.0, 12.3486, 37.6514, 0.0006),
    ('late_delivery_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('first_reply_hours', 'mean', 12.0, 50.0, 4.0, 3.0, 0.883, 5.117, 0.0006),
    ('ces', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('repeat_purchase_rate', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('cohort_retention', 'wilson', 5.0, 5.0, 5.0, 1.0, 0.566, 1.0, 0.0006),
    ('csat', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('csat', 'wilson', 5.0, 5.0, 5.0, 1.0, 0.566, 1.0, 0.0006),
    ('csat_per_order', 'wilson', 42.0, 42.0, 50.0, 0.84, 0.715, 0.917, 0.0006),
    ('nps', 'net score', 30.0, 70.0, 100.0, 30.0, 14.7, 45.3, 0.06),
    ('nps', 'net score', 150.0, 350.0, 500.0, 30.0, 23.2, 36.8, 0.06),
    ('nps', 'net score', 7.0, 11.0, 14.0, 50.0, 11.7, 88.3, 0.06)
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
