{#- KPIs that count visitors and people reached, under each identity: as int_kpis__marketing counts them, with another
    notion of who is who. Internal people are those of the identity in use. -#}
{% set window_days = 30 %}
with identities as (
    select * from {{ ref('int_identity__alternatives') }}
),

internal as (
    select customer_id from {{ ref('customer_360') }} where is_test or is_employee
),

visits as (
    select
        identities.identity,
        identities.person,
        sessions.started_at,
        sessions.started_on,
        row_number() over (
            partition by identities.identity, identities.person order by sessions.started_at, sessions.session_key
        ) as session_number
    from {{ ref('fct_web_sessions') }} as sessions
    inner join identities on sessions.record_key = identities.record_key
    anti join internal on sessions.customer_id = internal.customer_id
),

visited as (
    select *, {{ sensitivity_periods('started_on') }} as period from visits
),

visitors as (
    select
        identity,
        period,
        person,
        min(started_at) as came_at,
        min(session_number) = 1 as is_new
    from visited
    where period is not null
    group by identity, period, person
),

placed as (
    select order_key, {{ person_reference(email='email') }} as record_key from {{ ref('orders') }}
),

orders as (
    select distinct identities.identity, identities.person, facts.ordered_at
    from {{ ref('fct_orders') }} as facts
    inner join placed on facts.order_key = placed.order_key
    inner join identities on placed.record_key = identities.record_key
    where facts.is_valid
),

converted as (
    select
        visitors.*,
        visitors.came_at + to_days({{ window_days }}) <= {{ as_of() }} as is_mature,
        coalesce(orders.ordered_at <= visitors.came_at + to_days({{ window_days }}), false) as is_converted
    from visitors
    asof left join orders
        on
            visitors.identity = orders.identity
            and visitors.person = orders.person
            and visitors.came_at <= orders.ordered_at
),

written_to as (
    select identities.identity, identities.person, {{ sensitivity_periods('messages.sent_on') }} as period
    from {{ ref('fct_campaign_messages') }} as messages
    inner join identities on messages.record_key = identities.record_key
    anti join internal on messages.customer_id = internal.customer_id
    where messages.is_delivered
),

reached as (
    select identity, period, person from written_to where period is not null
    union
    select identity, period, person from visitors
),

counted as (
    select 'website_visitors' as kpi_id, identity, period, count(*) as numerator, null as denominator
    from visitors
    group by identity, period
    union all
    select 'new_website_visitors' as kpi_id, identity, period, count(*) filter (where is_new), null
    from visitors
    group by identity, period
    union all
    select 'visitor_conversion_rate' as kpi_id, identity, period, count(*) filter (where is_converted), count(*)
    from converted
    where is_mature
    group by identity, period
    union all
    select 'known_reach' as kpi_id, identity, period, count(*), null
    from reached
    group by identity, period
)

select
    kpi_id,
    identity,
    period,
    numerator / cast(coalesce(denominator, 1) as double) as value,
    cast(numerator as double) as numerator,
    cast(denominator as double) as denominator
from counted
