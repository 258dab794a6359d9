{#- Bounds of 95 % intervals. Null where there is nothing to estimate from. -#}
{% macro z() %}1.959964{% endmacro %}

{% macro wilson(successes, n, side) -%}
    case when {{ n }} > 0 then {{ 'greatest(0' if side == 'low' else 'least(1' }}, (
        {{ successes }} / {{ n }} + {{ z() }} * {{ z() }} / (2 * {{ n }})
        {{ '-' if side == 'low' else '+' }} {{ z() }} * sqrt(
            greatest({{ successes }} / {{ n }} * (1 - {{ successes }} / {{ n }}), 0) / {{ n }}
            + {{ z() }} * {{ z() }} / (4 * {{ n }} * {{ n }})
        )
    ) / (1 + {{ z() }} * {{ z() }} / {{ n }})) end
{%- endmacro %}

{#- Of a mean, from the sum and the sum of squares. -#}
{% macro mean_bound(total, squares, n, side) -%}
    case when {{ n }} > 1 then
        {{ total }} / {{ n }} {{ '-' if side == 'low' else '+' }} {{ z() }} * sqrt(
            greatest({{ squares }} - {{ total }} * {{ total }} / {{ n }}, 0) / ({{ n }} - 1) / {{ n }}
        )
    end
{%- endmacro %}

{#- Of a score that each answer moves by +1, 0 or -1 (NPS), on the scale of -1 to 1. -#}
{% macro net_score_bound(total, squares, n, side) -%}
    case when {{ n }} > 0 then {{ 'greatest(-1' if side == 'low' else 'least(1' }},
        {{ total }} / {{ n }} {{ '-' if side == 'low' else '+' }} {{ z() }} * sqrt(
            greatest({{ squares }} / {{ n }} - ({{ total }} / {{ n }}) * ({{ total }} / {{ n }}), 0) / {{ n }}
        )
    ) end
{%- endmacro %}

{#- An exact amount from an amount and a rate: sums of it do not depend on the order of the rows. -#}
{% macro in_reporting_currency(amount, rate) -%}
    try_cast(cast({{ amount }} as double) * {{ rate }} as decimal(18, 4))
{%- endmacro %}
