{#- Events of people on the website, each with its session: a gap of more than 30 minutes begins
    another one; midnight, a new campaign or signing in does not. Programs are left out. -#}
with events as (
    select
        web_event_key,
        source,
        coalesce(source || ':visitor:' || anonymous_id, person_record_key) as visitor_key,
        person_record_key,
        kind,
        url,
        lower(utm_source) as utm_source,
        lower(utm_medium) as utm_medium,
        lower(utm_campaign) as utm_campaign,
        {{ url_host('referrer') }} as referrer_host,
        device,
        country,
        occurred_at
    from {{ ref('web_events') }}
    where kind <> 'identified' and not coalesce(is_bot, false)
),

told_apart as (
    select
        *,
        coalesce(occurred_at > lag(occurred_at) over along_visitor + {{ session_gap() }}, true) as begins_session,
        coalesce(utm_source, utm_medium, utm_campaign) is not null as names_campaign
    from events
    -- what names no visitor can't be put into a session
    where visitor_key is not null
    window along_visitor as (partition by visitor_key order by occurred_at, web_event_key)
),

in_sessions as (
    select
        *,
        last_value(case when begins_session then web_event_key end ignore nulls) over (
            partition by visitor_key order by occurred_at, web_event_key
            rows between unbounded preceding and current row
        ) as session_key
    from told_apart
),

keyed as (
    select
        *,
        {{ arrival_key('utm_source', 'utm_medium', 'utm_campaign', 'referrer_host') }} as arrival_key,
        case when names_campaign then concat_ws(chr(31), utm_source, utm_medium, utm_campaign) end as campaign_words
    from in_sessions
)

select
    web_event_key,
    session_key,
    source,
    visitor_key,
    person_record_key,
    kind,
    url,
    utm_source,
    utm_medium,
    utm_campaign,
    referrer_host,
    device,
    country,
    occurred_at,
    begins_session,
    arrival_key,
    -- who follows another campaign meanwhile has come again; a shop's payment page sends back, it brings nobody
    begins_session or coalesce(
        campaign_words is distinct from last_value(campaign_words ignore nulls) over (
            partition by session_key order by occurred_at, web_event_key
            rows between unbounded preceding and 1 preceding
        ), true
    ) and campaign_words is not null as is_arrival
from keyed
