{#- Kaplan-Meier: who has not come back yet is waiting, not lost. Days are those from the first day with a
    purchase to the next. -#}
with purchases as (
    select customer_id, ordered_on from {{ ref('int_commerce__purchases') }}
),

firsts as (
    select customer_id, min(ordered_on) as first_on from purchases group by customer_id
),

waits as (
    select
        firsts.customer_id,
        firsts.first_on,
        min(purchases.ordered_on) is not null as has_returned,
        coalesce(min(purchases.ordered_on), {{ reporting_date(as_of()) }}) - firsts.first_on as days
    from firsts
    left join purchases on firsts.customer_id = purchases.customer_id and purchases.ordered_on > firsts.first_on
    group by firsts.customer_id, firsts.first_on
),

by_day as (
    select cohort, days, count(*) filter (where has_returned) as returned, count(*) as leaving
    from (
        select 'all' as cohort, days, has_returned from waits
        union all
        select year(first_on) || '-Q' || quarter(first_on), days, has_returned from waits
    ) as cohorts
    group by all
),

at_risk as (
    select
        *,
        sum(leaving) over (
            partition by cohort order by days rows between current row and unbounded following
        ) as waiting
    from by_day
),

curve as (
    select
        cohort,
        days,
        waiting,
        returned,
        product(1 - returned / waiting) over (partition by cohort order by days) as survival,
        sum(returned / nullif(cast(waiting as double) * (waiting - returned), 0)) over (
            partition by cohort order by days
        ) as greenwood
    from at_risk
),

bounded as (
    select
        *,
        -- of the logarithm of the logarithm, so that the bounds stay within 0 and 1
        case when survival > 0 then {{ z() }} * sqrt(greenwood) / ln(survival) end as half_width
    from curve
    where returned > 0
),

final as (
    select
        *,
        round(1 - survival, 9) as share_returned,
        round(1 - survival ** exp(-half_width), 9) as ci_high,
        round(1 - survival ** exp(half_width), 9) as ci_low
    from bounded
)

select {{ contract_columns() }} from final
