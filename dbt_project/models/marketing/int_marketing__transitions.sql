{#- Steps of the paths from channel to channel, by month and bucket of customers: all that a Markov chain
    of the first order needs to know. Several touches of one channel in a row are one stay in it. -#}
with stays as (
    select
        conversion_kind,
        path_key,
        conversion_key,
        customer_id,
        channel,
        occurred_at,
        touch_key,
        lag(channel) over along_path as previous_channel,
        max({{ reporting_date('occurred_at') }}) over (partition by conversion_kind, path_key) as last_on
    from {{ ref('int_marketing__paths') }}
    where not is_open
    window along_path as (partition by conversion_kind, path_key order by occurred_at, touch_key)
    qualify channel is distinct from previous_channel
),

steps as (
    select
        conversion_kind, path_key, conversion_key, customer_id, last_on,
        coalesce(previous_channel, '(start)') as from_channel,
        channel as to_channel
    from stays
    union all by name
    select
        conversion_kind, path_key, conversion_key, customer_id, last_on,
        channel as from_channel,
        case when conversion_key is null then '(null)' else '(conversion)' end as to_channel
    from stays
    qualify row_number() over (partition by conversion_kind, path_key order by occurred_at desc, touch_key desc) = 1
),

-- a path that led nowhere counts in the month of its last touch
dated as (
    select steps.*, coalesce(conversions.converted_on, steps.last_on) as ended_on
    from steps
    left join {{ ref('int_marketing__conversions') }} as conversions
        on steps.conversion_key = conversions.conversion_key
)

select
    conversion_kind,
    cast(date_trunc('month', ended_on) as date) as month_start,
    {{ customer_bucket('customer_id') }} as bucket,
    from_channel,
    to_channel,
    count(*) as steps
from dated
group by all
