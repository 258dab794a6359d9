{{ config(tags=['macro_vectors']) }}
-- Vectors of the definitions: Wilson 42/50 and 5/5, NPS of (50, 30, 20), (250, 150, 100), (9, 3, 2).
with wilson_vectors as (
    select 42.0 as k, 50.0 as n, 0.715 as low, 0.917 as high
    union all
    select 5.0, 5.0, 0.566, 1.0
),

nps_answers as (
    select 50.0 as promoters, 20.0 as detractors, 100.0 as n, 30.0 as score, 15.3 as margin
    union all
    select 250.0, 100.0, 500.0, 30.0, 6.8
    union all
    select 9.0, 2.0, 14.0, 50.0, 38.3
),

nps_vectors as (
    select promoters - detractors as total, promoters + detractors as squares, n, score, margin
    from nps_answers
)

select 'wilson' as what, k as a, n as b
from wilson_vectors
where
    abs({{ wilson('k', 'n', 'low') }} - low) > 0.0006
    or abs({{ wilson('k', 'n', 'high') }} - high) > 0.0006
union all
select 'nps', total, n
from nps_vectors
where
    abs(100 * {{ net_score_bound('total', 'squares', 'n', 'low') }} - (score - margin)) > 0.06
    or abs(100 * {{ net_score_bound('total', 'squares', 'n', 'high') }} - (score + margin)) > 0.06
