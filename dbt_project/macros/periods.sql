{#- First day of the period of a day; none for the grain `all`. -#}
{% macro period_start(grain, day) -%}
    case {{ grain }}
        when 'day' then {{ day }}
        when 'week' then cast(date_trunc('week', {{ day }}) as date)
        when 'month' then cast(date_trunc('month', {{ day }}) as date)
    end
{%- endmacro %}
