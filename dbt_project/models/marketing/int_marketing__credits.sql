{#- Credit of each touch for its conversion, by every model that looks at one path at a time. Weights
    are whole numbers and the cut between two touches is rounded, not the touch: what the touches of a
    path receive adds up to the conversion, and to its money, to the last digit. -#}
{% set weights = attribution_weights() %}
{% set units = 1000000000 %}
with conversions as (
    select *, cast(revenue_reporting * 10000 as hugeint) as money
    from {{ ref('int_marketing__conversions') }}
),

-- the visit in which something was bought goes on for half an hour after its last event
visits as (
    select session_key, ended_at + {{ session_gap() }} as open_until from {{ ref('fct_web_sessions') }}
),

placed as (
    select
        paths.conversion_key,
        paths.touch_key,
        paths.occurred_at,
        paths.channel,
        paths.campaign_key,
        paths.half_life_days,
        conversions.money,
        coalesce(visits.open_until >= conversions.converted_at, false) as is_in_conversion_visit,
        row_number() over along_path as position,
        count(*) over path as path_length,
        date_diff('second', paths.occurred_at, max(paths.occurred_at) over path) as seconds_before_last,
        count(*) over (partition by paths.conversion_key, paths.channel) as touches_of_channel,
        count(*) over (
            partition by paths.conversion_key, paths.channel order by paths.occurred_at, paths.touch_key
            rows between current row and unbounded following
        ) as touches_of_channel_left
    from {{ ref('int_marketing__paths') }} as paths
    inner join conversions on paths.conversion_key = conversions.conversion_key
    left join visits on paths.session_key = visits.session_key
    window
        path as (partition by paths.conversion_key),
        along_path as (partition by paths.conversion_key order by paths.occurred_at, paths.touch_key)
),

named as (
    select
        *,
        max(case when channel not in ('direct', 'unknown') then position end) over (
            partition by conversion_key
        ) as last_named_position
    from placed
),

weighted as (
    select
        {% for model, weight in weights.items() %}
        cast({{ weight }} as hugeint) as weight_{{ model }},
        {% endfor %}
        *
    from named
),

summed as (
    select
        {% for model in weights %}
        weight_{{ model }},
        cast(sum(weight_{{ model }}) over so_far as hugeint) as until_{{ model }},
        cast(sum(weight_{{ model }}) over path as hugeint) as total_{{ model }},
        {% endfor %}
        conversion_key, touch_key, occurred_at, channel, campaign_key, money, position, path_length
    from weighted
    window
        path as (partition by conversion_key),
        so_far as (
            partition by conversion_key order by position rows between unbounded preceding and current row
        )
),

split as (
    select
        conversion_key, touch_key, occurred_at, channel, campaign_key, money, position, path_length,
        unnest([
            {% for model in weights %}
            {
                'model': '{{ model }}',
                'weight': weight_{{ model }},
                'until': until_{{ model }},
                'total': {{ '1' if model == 'participation' else 'total_' ~ model }}
            }{{ ',' if not loop.last }}
            {% endfor %}
        ], recursive := true)
    from summed
),

credited as (
    select
        * exclude (weight, until, total, money),
        -- whole numbers until here: a decimal that is divided would become a floating number
        cast((until * {{ units }}) // total - ((until - weight) * {{ units }}) // total as decimal(18, 0))
        * 0.000000001 as credit,
        cast((until * money) // total - ((until - weight) * money) // total as decimal(18, 0))
        * 0.0001 as revenue_reporting
    from split
    where weight > 0
)

select * from credited
