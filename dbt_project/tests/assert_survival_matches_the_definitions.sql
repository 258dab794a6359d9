{{ config(tags=['macro_vectors']) }}
-- Vector of the definitions: S(3) = .8333, S(5) = .6667, S(8) = .4444, median 8; and leaving by either of two
-- causes adds up to leaving at all.
with subjects as (
    select vector.days, vector.is_finished, vector.cause
    from (
        values (3, true, 'a'), (5, true, 'b'), (5, false, null), (8, true, 'a'), (12, false, null), (12, false, null)
    ) as vector (days, is_finished, cause)
),

curve as ({{ kaplan_meier('subjects', [], 'days', 'is_finished') }}),

incidences as ({{ aalen_johansen('subjects', [], 'days', 'cause') }}),

quartiles as (
    select {{ survival_quantile(0.25, 'lower', at_least=1) }}, {{ survival_quantile(0.5, 'median', at_least=1) }}
    from curve
),

left_at_all as (
    select t, sum(incidence) as incidence
    from incidences
    group by t
)

select 'survival' as what, curve.t, curve.survival as found
from curve
inner join (values (3, 0.8333), (5, 0.6667), (8, 0.4444), (12, 0.4444)) as vectors (t, survival)
    on curve.t = vectors.t
where abs(curve.survival - vectors.survival) > 0.00005
union all
select 'median', median, lower from quartiles
where (median, lower, median_low) is distinct from (8, 5, 3) or median_high is not null
union all
select 'incidence', curve.t, left_at_all.incidence
from left_at_all
inner join curve on left_at_all.t = curve.t
where abs(left_at_all.incidence - (1 - curve.survival)) > 1e-12
