{#- The last 24 months that have ended, each with the customers who had bought by its end: enough for the
    same month a year before, and a bound on customers times months. -#}
with months as (
    select month_start, next_month_start
    from {{ ref('int_commerce__months') }}
    where has_ended
    qualify row_number() over (order by month_start desc) <= 24
),

by_month as (
    select
        customer_id,
        month_start,
        max(ordered_on) as last_ordered_on,
        count(*) as orders,
        sum(revenue_reporting) as revenue_reporting
    from {{ ref('int_commerce__purchases') }}
    group by customer_id, month_start
),

to_date as (
    select
        customer_id,
        month_start,
        lead(month_start) over customers as next_purchase_month,
        last_ordered_on,
        sum(orders) over customers as orders,
        coalesce(sum(revenue_reporting) over customers, 0) as revenue_reporting
    from by_month
    window customers as (partition by customer_id order by month_start)
),

measured as (
    select
        months.month_start,
        to_date.customer_id,
        months.next_month_start - to_date.last_ordered_on as recency_days,
        to_date.orders as frequency,
        to_date.revenue_reporting as monetary
    from to_date
    inner join months
        on
            to_date.month_start <= months.month_start
            and coalesce(to_date.next_purchase_month > months.month_start, true)
),

fixed as (
    select
    {% for measure in ['recency', 'frequency', 'monetary'] %}
        max(score_2) filter (where measure = '{{ measure }}') as {{ measure }}_2,
        max(score_3) filter (where measure = '{{ measure }}') as {{ measure }}_3,
        max(score_4) filter (where measure = '{{ measure }}') as {{ measure }}_4,
        max(score_5) filter (where measure = '{{ measure }}') as {{ measure }}_5{{ ',' if not loop.last }}
    {% endfor %}
    from {{ ref('rfm_thresholds') }}
),

recency as (
    {{ quintiles('measured', 'recency_days', best='low') }}
),

frequency as (
    {{ quintiles('measured', 'frequency') }}
),

monetary as (
    {{ quintiles('measured', 'monetary') }}
),

scored as (
    select
        measured.*,
        recency.recency_days_quintile as recency_score,
        frequency.frequency_quintile as frequency_score,
        monetary.monetary_quintile as monetary_score,
        1 + (measured.recency_days <= fixed.recency_2)::int + (measured.recency_days <= fixed.recency_3)::int
        + (measured.recency_days <= fixed.recency_4)::int
        + (measured.recency_days <= fixed.recency_5)::int as fixed_recency_score,
    {% for measure in ['frequency', 'monetary'] %}
    1 + (measured.{{ measure }} >= fixed.{{ measure }}_2)::int
    + (measured.{{ measure }} >= fixed.{{ measure }}_3)::int
    + (measured.{{ measure }} >= fixed.{{ measure }}_4)::int
    + (measured.{{ measure }} >= fixed.{{ measure }}_5)::int as fixed_{{ measure }}_score{{ ',' if not loop.last }}
    {% endfor %}
    from measured
    cross join fixed
    inner join recency
        on measured.month_start = recency.month_start and measured.recency_days = recency.recency_days
    inner join frequency
        on measured.month_start = frequency.month_start and measured.frequency = frequency.frequency
    inner join monetary
        on measured.month_start = monetary.month_start and measured.monetary = monetary.monetary
),

final as (
    select
        *,
        {{ rfm_group('recency_score', 'frequency_score', 'monetary_score') }} as rfm_group,
        {{ rfm_group('fixed_recency_score', 'fixed_frequency_score', 'fixed_monetary_score') }} as fixed_rfm_group
    from scored
)

select {{ contract_columns() }} from final
