{#- Written by `python -m dbt_project.kpis` out of dbt_project/kpis/*.yml.
    KPIs whose figures a model makes. -#}
select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    value,
    numerator,
    denominator,
    n,
    ci_low,
    ci_high
from {{ ref('int_kpis__commerce') }}
union all
select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    value,
    numerator,
    denominator,
    n,
    ci_low,
    ci_high
from {{ ref('int_kpis__journey') }}
union all
select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    value,
    numerator,
    denominator,
    n,
    ci_low,
    ci_high
from {{ ref('int_kpis__marketing') }}
union all
select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    value,
    numerator,
    denominator,
    n,
    ci_low,
    ci_high
from {{ ref('int_kpis__service') }}
union all
select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    value,
    numerator,
    denominator,
    n,
    ci_low,
    ci_high
from {{ ref('int_kpis__voice') }}
