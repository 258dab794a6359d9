{#- Seconds by which the clocks of a zone are ahead of UTC at a moment of UTC. -#}
{% macro utc_offset(zone, moment) -%}
date_diff('second', {{ moment }}, timezone({{ zone }}, timezone('UTC', {{ moment }})))
{%- endmacro %}

{#- Open time of a schedule until a moment, from the row of `int_service__open_hours` that began last. -#}
{% macro open_until(hours, moment) -%}
{{ hours }}.microseconds_before
    + date_diff('microsecond', {{ hours }}.opens_at, least({{ moment }}, {{ hours }}.closes_at))
{%- endmacro %}

{#- Minutes of a span of microseconds. -#}
{% macro in_minutes(microseconds) -%}({{ microseconds }}) / 60000000.0{%- endmacro %}

{#- Calendar minutes between two moments; so far where the second one may be yet to come. -#}
{% macro minutes_between(start, finish) -%}
{{ in_minutes("date_diff('microsecond', " ~ start ~ ", " ~ finish ~ ")") }}
{%- endmacro %}

{% macro minutes_so_far(start, finish) -%}
{{ minutes_between(start, 'coalesce(' ~ finish ~ ', ' ~ as_of() ~ ')') }}
{%- endmacro %}

{#- States in which the customer waits for the company. -#}
{% macro requester_waits() %}('new', 'open', 'hold'){% endmacro %}

{#- A rating as good, neutral or bad: words, or points on the newer scale of 1 to 5. -#}
{% macro satisfaction_word(rating) -%}
    case
        when {{ rating }} in ('good', '4', '5') then 'good'
        when {{ rating }} in ('bad', '1', '2') then 'bad'
        when {{ rating }} in ('neutral', '3') then 'neutral'
    end
{%- endmacro %}

{#- What a subject is about where nothing else tells: its words without marks of replies and numbers. -#}
{% macro subject_words(subject) -%}
    nullif(trim(regexp_replace(
        regexp_replace(lower({{ subject }}), '^(\s*(re|aw|fw|fwd|wg|antw|res|enc)\s*:)+', ''), '[^\p{L}]+', ' ', 'g'
    )), '')
{%- endmacro %}
