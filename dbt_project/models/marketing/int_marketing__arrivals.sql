{#- Every distinct way in which somebody came: its channel by the first rule of `marketing_channels`
    that fits, and the campaign it names. -#}
with own_hosts as (
    select distinct {{ url_host('url') }} as host from {{ ref('int_marketing__session_events') }}
),

stated as (
    select channel from {{ ref('opportunities') }}
    union
    select channel from {{ ref('campaigns') }}
    union
    select channel from {{ ref('ad_spend') }}
    union
    select acquisition_channel from {{ ref('person_records') }}
),

ways as (
    select distinct arrival_key, utm_source, utm_medium, utm_campaign, referrer_host, null as stated
    from {{ ref('int_marketing__session_events') }}
    where is_arrival
    union all
    select distinct {{ stated_arrival_key('channel') }}, null, null, null, null, lower(channel)
    from stated
    where channel is not null
),

-- a link from one page of the shop to another brings nobody
external as (
    select * replace (case when own_hosts.host is null then ways.referrer_host end as referrer_host)
    from ways
    left join own_hosts on ways.referrer_host = own_hosts.host
),

matched as (
    select
        external.arrival_key,
        arg_min(rules.channel, rules.rank) as channel,
        arg_min(rules.is_paid, rules.rank) as is_paid
    from external
    inner join {{ ref('marketing_channels') }} as rules
        on
            (rules.utm_source is null or regexp_full_match(external.utm_source, rules.utm_source))
            and (rules.utm_medium is null or regexp_full_match(external.utm_medium, rules.utm_medium))
            and (rules.referrer_host is null or regexp_full_match(external.referrer_host, rules.referrer_host))
            and (rules.stated is null or regexp_full_match(external.stated, rules.stated))
    group by external.arrival_key
),

campaigns as (
    select
        campaigns.campaign_key,
        lower(campaigns.campaign_id) as campaign_id,
        {{ words('campaigns.name') }} as words
    from {{ ref('campaigns') }} as campaigns
),

names as (
    select word, min(campaign_key) as campaign_key
    from (
        select campaign_id as word, campaign_key from campaigns
        union all
        select words, campaign_key from campaigns
    ) as names
    where word is not null
    group by word
)

select
    external.arrival_key,
    coalesce(
        matched.channel,
        case
            when coalesce(external.utm_source, external.utm_medium, external.utm_campaign) is not null then 'other'
            when external.stated is not null then 'unknown'
            else 'direct'
        end
    ) as channel,
    coalesce(matched.is_paid, false) as is_paid,
    -- links often carry the number of the campaign behind its name
    coalesce(by_id.campaign_key, by_name.campaign_key, by_stem.campaign_key) as campaign_key
from external
left join matched on external.arrival_key = matched.arrival_key
left join names as by_id on external.utm_campaign = by_id.word
left join names as by_name on {{ words('external.utm_campaign') }} = by_name.word
left join names as by_stem
    on regexp_replace({{ words('external.utm_campaign') }}, ' [0-9]+$', '') = by_stem.word
