{#- A session ends when its visitor has done nothing for longer than this. -#}
{% macro session_gap() %}interval 30 minute{% endmacro %}

{#- Resampling draws customers by buckets of their ids, so its size does not grow with the company. -#}
{% macro customer_bucket(key) %}cast(md5_number_lower({{ key }}) % 4096 as integer){% endmacro %}

{#- Host of an address, without `www.`; null where there is none. -#}
{% macro url_host(url) -%}
    nullif(regexp_extract(lower({{ url }}), '^(?:[a-z][a-z0-9+.-]*:)?//(?:www\.)?([^/:?#]+)', 1), '')
{%- endmacro %}

{#- One text for everything that tells how somebody came. -#}
{% macro arrival_key(utm_source='null', utm_medium='null', utm_campaign='null', referrer_host='null', stated='null') -%}
    concat_ws(
        chr(31), coalesce({{ utm_source }}, ''), coalesce({{ utm_medium }}, ''), coalesce({{ utm_campaign }}, ''),
        coalesce({{ referrer_host }}, ''), coalesce({{ stated }}, '')
    )
{%- endmacro %}

{#- The same for a channel that a system states; null where it states none, so that it joins nothing. -#}
{% macro stated_arrival_key(channel) -%}
    repeat(chr(31), 4) || lower({{ channel }})
{%- endmacro %}

{#- Weight of a touch in its path, by model, in whole numbers so that sums are exact. A path has
    `path_length` touches; the weights of a path are brought to a sum of 1 later, those of
    participation are not. -#}
{% macro attribution_weights() %}
    {{ return({
        'first': "(position = 1)::bigint",
        'last': "(position = path_length)::bigint",
        'last_non_direct': "(position = coalesce(last_named_position, path_length))::bigint",
        'same_touch': "(position = path_length and is_in_conversion_visit)::bigint",
        'linear': "1",
        'position_based': "case when path_length > 2 and position in (1, path_length) then 2 * (path_length - 2) else 1 end",
        'j_shaped': "case when path_length = 1 then 1 when position = path_length then 3 * greatest(path_length - 2, 1)
            when position = 1 then greatest(path_length - 2, 1) else 1 end",
        'inverse_j': "case when path_length = 1 then 1 when position = 1 then 3 * greatest(path_length - 2, 1)
            when position = path_length then greatest(path_length - 2, 1) else 1 end",
        'time_decay': "round(1e12 * pow(2, -seconds_before_last / 86400.0 / half_life_days))::bigint",
        'participation': "(touches_of_channel_left = 1)::bigint",
        'shapley': "720720000000 // touches_of_channel",
    }) }}
{% endmacro %}

{#- The words of a name, whatever stands between them: `Black_Week-2026` is `black week 2026`. -#}
{% macro words(name) -%}
    nullif(trim(regexp_replace(lower({{ name }}), '[^\p{L}\p{N}]+', ' ', 'g')), '')
{%- endmacro %}

{#- The periods that figures which can't be added up are counted for. -#}
{% macro marketing_grains() %}(values ('day'), ('week'), ('month'), ('all')) as grains (period_grain){% endmacro %}
