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

{#- A survey's key; answers that name no survey belong to one per source and kind. -#}
{% macro survey_key_of(answers) -%}
    coalesce({{ answers }}.survey_key, {{ answers }}.source || ':(' || {{ answers }}.kind || ')')
{%- endmacro %}

{#- Words of a question about the place where people work, about effort, and about ease. -#}
{% macro workplace_wording() -%}
place to work|employer|arbeitgeber|arbeitsplatz|empregador|lugar para trabalhar|работодател|место работы
{%- endmacro %}
{% macro effort_wording() %}effort|aufwand|esfor[cç]o|усили{% endmacro %}
{% macro ease_wording() %}\beas[yi]|einfach|leicht|f[aá]cil|л[её]гк|просто{% endmacro %}

{#- A scale named in a question, as in 'from 1 to 10': lowest and highest are groups 1 and 3. -#}
{% macro scale_wording() %}\b(\d{1,2})\s*(-|–|to|bis|a|до)\s*(\d{1,2})\b{% endmacro %}

{#- What a question measures by its words, on the scale they need; null where the two do not go together. -#}
{% macro kind_on_scale(worded_kinds, is_about_work, is_reversed, low, high) -%}
    case
        when list_contains({{ worded_kinds }}, 'nps') and {{ low }} = 0 and {{ high }} = 10
            then case when {{ is_about_work }} then 'enps' else 'nps' end
        when list_contains({{ worded_kinds }}, 'csat') and {{ low }} = 1 and {{ high }} = 5 and not {{ is_reversed }}
            then 'csat'
        when list_contains({{ worded_kinds }}, 'ces') and {{ low }} = 1 and {{ high }} = 7 and not {{ is_reversed }}
            then 'ces'
        when list_contains({{ worded_kinds }}, 'ces') and {{ low }} = 1 and {{ high }} = 5 and {{ is_reversed }}
            then 'ces'
    end
{%- endmacro %}
