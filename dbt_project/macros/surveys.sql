{#- What a question may measure by its wording in English, German, Portuguese or Russian, with the scale
    on which it does; null where the wording says nothing. -#}
{% macro survey_kinds(text) -%}
    {%- set wordings = [
        ('nps', 0, 10, 'recommend|empfehl|recomend|рекоменд'),
        ('csat', 1, 5, 'satisf|zufrieden|довол|удовлетвор'),
        ('ces', 1, 7, '\\beas[yi]|effort|einfach|leicht|aufwand|f[aá]cil|esfor[cç]o|л[её]гк|просто|усили'),
    ] -%}
    nullif(list_filter([
        {%- for kind, low, high, wording in wordings %}
        case when regexp_matches(lower({{ text }}), '{{ wording }}')
            then struct_pack(kind := '{{ kind }}', low := {{ low }}, high := {{ high }}) end{{ ',' if not loop.last }}
        {%- endfor %}
    ], k -> k is not null), [])
{%- endmacro %}
