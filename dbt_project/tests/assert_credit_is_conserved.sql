-- what the touches of a conversion are credited with is the conversion, and its money, to the last digit
with of_conversions as (
    select
        'conversion' as broken, credits.conversion_key as what, credits.model,
        sum(credits.credit) as credit, sum(credits.revenue_reporting) as revenue,
        any_value(conversions.revenue_reporting) as expected_revenue, 1 as expected
    from {{ ref('fct_attribution_credits') }} as credits
    inner join {{ ref('int_marketing__conversions') }} as conversions
        on credits.conversion_key = conversions.conversion_key
    where credits.model <> 'participation'
    group by credits.conversion_key, credits.model
),

linear as (
    select
        conversion_kind, period_start, any_value(n) as conversions, sum(revenue_reporting) as revenue
    from {{ ref('attribution_by_channel') }}
    where model = 'linear' and is_shown
    group by all
),

of_periods as (
    select
        'period' as broken, concat_ws(' ', channels.conversion_kind, channels.period_start) as what, channels.model,
        sum(channels.conversions) as credit, sum(channels.revenue_reporting) as revenue,
        any_value(linear.revenue) as expected_revenue, any_value(linear.conversions) as expected
    from {{ ref('attribution_by_channel') }} as channels
    inner join linear
        on
            channels.conversion_kind = linear.conversion_kind
            and channels.period_start is not distinct from linear.period_start
    where channels.adds_up and channels.is_shown
    group by channels.conversion_kind, channels.period_start, channels.model
),

sums as (
    select * from of_conversions
    union all by name
    select * from of_periods
)

select * from sums
where credit <> expected or revenue is distinct from expected_revenue
