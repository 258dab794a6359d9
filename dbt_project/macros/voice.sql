{#- Surveys, reviews and effort. Shares and net scores lie on the scale of 0 to 1 and -1 to 1. -#}

{#- Fewer answers show no change: below, the interval of a net score misses the truth in more than 7 % of samples. -#}
{% macro minimum_answers() %}30{% endmacro %}

{#- Answers of employees are given out for groups of at least so many. -#}
{% macro minimum_group_size() %}5{% endmacro %}

{#- A class of people is told apart where at least so many of it answered. -#}
{% macro minimum_class_size() %}15{% endmacro %}

{#- Variance of what one answer adds to a score, from the sum and the sum of squares. -#}
{% macro answer_variance(total, squares, n) -%}
    greatest({{ squares }} / {{ n }} - ({{ total }} / {{ n }}) * ({{ total }} / {{ n }}), 0)
{%- endmacro %}

{#- Half the width of the interval of the difference of two independent scores. -#}
{% macro difference_margin(variance, n, other_variance, other_n) -%}
    ({{ z() }} * sqrt({{ variance }} / {{ n }} + {{ other_variance }} / {{ other_n }}))
{%- endmacro %}

{#- The smallest true change that two waves of this size would show as changed in 80 of 100 cases. -#}
{% macro minimum_detectable_change(variance, n) -%}
    (({{ z() }} + 0.841621) * sqrt(2 * {{ variance }} / {{ n }}))
{%- endmacro %}

{#- How many answers of equal weight say as much as these of unequal weight (Kish), from the sum of the
    weights and the sum of their squares. -#}
{% macro kish_n(weights, squared_weights) -%}
    ({{ weights }} * {{ weights }} / nullif({{ squared_weights }}, 0))
{%- endmacro %}

{#- A mean that few ratings move little: `prior_n` ratings of `prior_mean` are added to them. -#}
{% macro shrunk_mean(total, n, prior_mean, prior_n) -%}
    (({{ prior_n }} * {{ prior_mean }} + {{ total }}) / ({{ prior_n }} + {{ n }}))
{%- endmacro %}

{#- The true share from the share a classifier finds, given how often it is right on those that have the
    property and on those that have not (Rogan and Gladen); null for one that is no better than chance. -#}
{% macro true_share(observed, sensitivity, specificity) -%}
    case when {{ sensitivity }} + {{ specificity }} > 1 then
        least(1, greatest(0, ({{ observed }} + {{ specificity }} - 1) / ({{ sensitivity }} + {{ specificity }} - 1)))
    end
{%- endmacro %}

{#- Bound of the interval of a rank correlation (Fisher's z, standard error of Bonett and Wright). -#}
{% macro spearman_bound(rho, n, side) -%}
    case when {{ n }} > 3 then tanh(
        atanh(least(greatest({{ rho }}, -0.999999), 0.999999))
        {{ '-' if side == 'low' else '+' }} {{ z() }} * sqrt((1 + {{ rho }} * {{ rho }} / 2) / ({{ n }} - 3))
    ) end
{%- endmacro %}

{#- The six response rates of AAPOR, numerator and denominator, from counts named complete, partial,
    refused, no_answer, unknown and `eligible_share`: how many of the unknown could have answered. -#}
{% macro response_rate(number, part) -%}
    {%- if part == 'numerator' -%}
        complete{{ ' + partial' if number in [2, 4, 6] }}
    {%- else -%}
        complete + partial + refused + no_answer
        {%- if number in [1, 2] %} + unknown{% elif number in [3, 4] %} + eligible_share * unknown{% endif -%}
    {%- endif -%}
{%- endmacro %}

{#- CTEs that sort rows of `relation` into classes: within `cell`, variable after variable in the order given.
    A value with fewer than `minimum` respondents joins the rest; a class is not split where that rest is
    still too few. The classes stand in `class` of the last CTE, called `classes`. -#}
{% macro collapsed_classes(relation, cell, variables, responded, minimum) -%}
class_0 as (
    select *, {{ cell }} as class from {{ relation }}
),
{% for variable in variables %}
value_{{ loop.index }} as (
    select
        *,
        case
            when count(*) filter (where {{ responded }}) over (partition by class, {{ variable }}) >= {{ minimum }}
                then coalesce(cast({{ variable }} as varchar), 'unknown')
            else 'other'
        end as joined_value
    from class_{{ loop.index0 }}
),
size_{{ loop.index }} as (
    select
        *,
        count(*) filter (where {{ responded }}) over (partition by class, joined_value) as respondents_of_value
    from value_{{ loop.index }}
),
class_{{ loop.index }} as materialized (
    select
        * exclude (joined_value, respondents_of_value)
        replace (
            case
                when
                    min(respondents_of_value) over (partition by class) >= {{ minimum }}
                    and min(joined_value) over (partition by class) < max(joined_value) over (partition by class)
                    then class || ' / {{ variable }} ' || joined_value
                else class
            end as class
        )
    from size_{{ loop.index }}
),
{% endfor %}
classes as (
    select * from class_{{ variables | length }}
)
{%- endmacro %}

{#- Parts of the effort that is seen: what a customer had to do, and to wait for, to be served. -#}
{% macro effort_parts() %}
    {{ return(['messages', 'channel_switches', 'handoffs', 'repeat_contacts', 'wait_minutes']) }}
{% endmacro %}

{#- Effort from 0, none seen, to 100, the most in every part: of each part the share of those served that had
    at most as much of it, 0 for who had none, averaged over the parts. Rows are those that were served. -#}
{% macro effort_index() -%}
    100 * (
        {%- for part in effort_parts() %}
        case when {{ part }} > 0 then cume_dist() over (order by {{ part }}) else 0 end{{ ' +' if not loop.last }}
        {%- endfor %}
    ) / {{ effort_parts() | length }}
{%- endmacro %}
