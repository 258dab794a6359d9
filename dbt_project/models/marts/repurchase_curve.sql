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

cohorts as (
    select 'all' as cohort, days, has_returned from waits
    union all
    select year(first_on) || '-Q' || quarter(first_on), days, has_returned from waits
),

curve as ({{ kaplan_meier('cohorts', ['cohort'], 'days', 'has_returned') }}),

final as (
    select
        cohort,
        t as days,
        at_risk as waiting,
        events as returned,
        round(1 - survival, 9) as share_returned,
        round(1 - ci_high, 9) as ci_low,
        round(1 - ci_low, 9) as ci_high
    from curve
    where events > 0
)

select {{ contract_columns() }} from final
