{#- An amount in another currency, by the rates of one day; as it is where the currencies are the same. -#}
{% macro converted(amount, from_currency, to_currency, from_rate, to_rate) -%}
    case
        when {{ from_currency }} = {{ to_currency }} then {{ amount }}
        else try_cast(cast({{ amount }} as double) * {{ from_rate }} / {{ to_rate }} as decimal(18, 4))
    end
{%- endmacro %}

{#- The windows after which a cart that nobody has bought counts as abandoned: name, hours. -#}
{% macro cart_windows() %}{{ return([('1h', 1), ('24h', 24), ('72h', 72), ('30d', 720)]) }}{% endmacro %}

{#- The quintile, 5 the best, of every value of a measure in a month: equal values have equal scores, that of
    the lowest place among them. Counted by value, for sorting millions of customers takes longer. -#}
{% macro quintiles(measured, measure, best='high') -%}
    select
        month_start,
        {{ measure }},
        1 + 5 * (sum(customers) over worse - customers)
        // sum(customers) over (partition by month_start) as {{ measure }}_quintile
    from (
        select month_start, {{ measure }}, count(*) as customers from {{ measured }} group by all
    ) as customers_by_value
    window worse as (partition by month_start order by {{ measure }} {{ 'asc' if best == 'high' else 'desc' }})
{%- endmacro %}

{#- Shopify's groups of customers who have bought, from R and FM = (F + M) / 2. Shopify says in words what
    they mean (very recent, recent, not recent; few, some, many); these are the borders put to the words. -#}
{% macro rfm_group(recency, frequency, monetary) -%}
    case
        when {{ frequency }} + {{ monetary }} >= 8 then
            case when {{ recency }} = 5 then 'champions' when {{ recency }} >= 3 then 'loyal' else 'previously loyal' end
        when {{ frequency }} + {{ monetary }} > 4 then
            case when {{ recency }} >= 4 then 'active' when {{ recency }} = 3 then 'needs attention' else 'at risk' end
        when {{ frequency }} + {{ monetary }} >= 2 then
            case {{ recency }}
                when 5 then 'new' when 4 then 'promising' when 3 then 'almost lost' else 'dormant'
            end
    end
{%- endmacro %}

{#- Whether an order counts as a sale, by its status in common terms. -#}
{% macro is_valid_order(status) %}{{ status }} not in ('canceled', 'unavailable'){% endmacro %}
