{#- Half the 95 % interval of a ratio of two sums over people, who each bring some of both: from the columns
    `<part>_squared`, `<part>_by_<whole>` and `<whole>_squared`, added up over people. -#}
{% macro ratio_margin(part, whole) -%}
    case when {{ whole }} > 0 then {{ z() }} * sqrt(greatest(
        {{ part }}_squared - 2.0 * {{ part }} / {{ whole }} * {{ part }}_by_{{ whole }}
        + ({{ part }} / {{ whole }}) * ({{ part }} / {{ whole }}) * {{ whole }}_squared, 0
    )) / {{ whole }} end
{%- endmacro %}

{#- Where all or none count, people differ in nothing: Wilson's bound for as many people instead. -#}
{% macro ratio_bound(share, people, side) -%}
    case
        when {{ share }} in (0, 1) then {{ wilson(share ~ ' * ' ~ people, people, side) }}
        else {{ 'greatest(0, ' if side == 'low' else 'least(1, ' }}{{ share }} {{ '-' if side == 'low' else '+' }} {{ share }}_margin)
    end
{%- endmacro %}
