{#- KPIs of marketing that count people, who can't be added up over days or channels: counted afresh
    per period. Tests and employees are left out. -#}
{% set window_days = 30 %}
{% set grains = marketing_grains() %}
with regions as (
    select customer_id, coalesce(region, country, '(unknown)') as region, is_test or is_employee as is_internal
    from {{ ref('customer_360') }}
),

visits as (
    select
        sessions.customer_id, sessions.source, coalesce(regions.region, '(unknown)') as region,
        sessions.started_on, min(sessions.started_at) as started_at
    from {{ ref('fct_web_sessions') }} as sessions
    left join regions on sessions.customer_id = regions.customer_id
    where not coalesce(regions.is_internal, false) and sessions.customer_id is not null
    group by all
),

visitors as (
    select
        grains.period_grain,
        {{ period_start('grains.period_grain', 'visits.started_on') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'source' then visits.source when 'region' then visits.region else 'all'
        end as dimension_value,
        visits.customer_id,
        min(visits.started_at) as came_at
    from visits
    cross join {{ grains }}
    cross join (values ('all'), ('source'), ('region')) as dimensions (dimension)
    group by all
),

orders as (
    select distinct customer_id, ordered_at
    from {{ ref('fct_orders') }}
    where is_valid and customer_id is not null
),

converted as (
    select
        visitors.*,
        came_at + to_days({{ window_days }}) <= {{ as_of() }} as is_mature,
        coalesce(orders.ordered_at <= visitors.came_at + to_days({{ window_days }}), false) as is_converted
    from visitors
    asof left join orders
        on visitors.customer_id = orders.customer_id and visitors.came_at <= orders.ordered_at
),

conversion as (
    select
        'visitor_conversion_rate' as kpi_id, period_grain, period_start, dimension, dimension_value,
        count(*) filter (where is_converted) as successes, count(*) as n
    from converted
    where is_mature
    group by all
    union all by name
    select
        'funnel_step_conversion' as kpi_id, period_grain, period_start, 'funnel_step' as dimension,
        funnel || ': ' || step || ' ' || step_name as dimension_value, reached as successes, entered as n
    from {{ ref('funnel_conversion') }}
    where step > 1 and entered > 0
),

messages as (
    select messages.customer_id, messages.sent_on as day, coalesce(messages.channel, 'unknown') as channel
    from {{ ref('fct_campaign_messages') }} as messages
    left join regions on messages.customer_id = regions.customer_id
    where messages.is_delivered and messages.customer_id is not null and not coalesce(regions.is_internal, false)
),

known as (
    select channel, day, customer_id from messages
    union all
    select 'website', started_on, customer_id from visits
),

-- of what a platform says per day and campaign, the largest figure is the least that it can be
reach as (
    select
        channel, {{ period_start('grains.period_grain', 'spent_on') }} as period_start, period_grain,
        max(reach) as people
    from {{ ref('fct_ad_spend') }}
    cross join {{ grains }}
    where reach is not null
    group by all
    union all by name
    select
        channel, {{ period_start('grains.period_grain', 'day') }} as period_start, period_grain,
        count(distinct customer_id) as people
    from messages
    cross join {{ grains }}
    group by all
),

people as (
    select
        'people_reached' as kpi_id, period_grain, period_start, 'channel' as dimension,
        channel as dimension_value, max(people) as people
    from reach
    group by all
    union all by name
    select
        'known_reach' as kpi_id, grains.period_grain,
        {{ period_start('grains.period_grain', 'known.day') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension when 'channel' then known.channel else 'all' end as dimension_value,
        count(distinct known.customer_id) as people
    from known
    cross join {{ grains }}
    cross join (values ('all'), ('channel')) as dimensions (dimension)
    group by all
    union all by name
    select
        'website_visitors' as kpi_id, period_grain, period_start, dimension, dimension_value, count(*) as people
    from visitors
    group by all
),

spend as (
    select
        grains.period_grain,
        {{ period_start('grains.period_grain', 'spend.spent_on') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension when 'channel' then spend.channel else 'all' end as dimension_value,
        sum(spend.amount_reporting) as cost
    from {{ ref('fct_ad_spend') }} as spend
    cross join {{ grains }}
    cross join (values ('all'), ('channel')) as dimensions (dimension)
    group by all
    -- an amount in a currency without a rate leaves the sum unknown
    having count(spend.amount_reporting) = count(*)
),

leads as (
    select
        grains.period_grain,
        {{ period_start('grains.period_grain', 'leads.created_on') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'channel' then coalesce(touches.channel, 'unknown') else 'all'
        end as dimension_value,
        count(*) as leads
    from {{ ref('int_marketing__leads') }} as leads
    left join {{ ref('int_marketing__touches') }} as touches
        on 'lead:' || leads.opportunity_key = touches.touch_key
    left join regions on leads.customer_id = regions.customer_id
    cross join {{ grains }}
    cross join (values ('all'), ('channel')) as dimensions (dimension)
    where not coalesce(regions.is_internal, false)
    group by all
),

costs as (
    select spend.*, leads.leads
    from spend
    inner join leads
        on
            spend.period_grain = leads.period_grain
            and spend.period_start is not distinct from leads.period_start
            and spend.dimension = leads.dimension
            and spend.dimension_value = leads.dimension_value
),

final as (
    select
        kpi_id, period_grain, period_start, dimension, dimension_value,
        successes / n as value, successes as numerator, n as denominator, n,
        {{ wilson('successes', 'n', 'low') }} as ci_low,
        {{ wilson('successes', 'n', 'high') }} as ci_high
    from conversion
    union all by name
    select
        kpi_id, period_grain, period_start, dimension, dimension_value,
        people as value, people as numerator, people as n
    from people
    union all by name
    select
        'cost_per_lead' as kpi_id, period_grain, period_start, dimension, dimension_value,
        cast(cost as double) / leads as value, cost as numerator, leads as denominator, leads as n
    from costs
)

select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    cast(value as double) as value,
    cast(numerator as double) as numerator,
    cast(denominator as double) as denominator,
    cast(n as bigint) as n,
    cast(ci_low as double) as ci_low,
    cast(ci_high as double) as ci_high
from final
