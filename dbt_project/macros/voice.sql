{#- Surveys, reviews and effort. Shares and net scores lie on the scale of 0 to 1 and -1 to 1. -#}

{#- Fewer answers show no change: below, the interval of a net score misses the truth in more than 7 % of samples. -#}
{% macro minimum_answers() %}30{% endmacro %}

{#- Answers of employees are given out for groups of at least so many. -#}
{% macro minimum_group_size() %}5{% endmacro %}

{#- A group of people is told apart where at least so many of it answered. -#}
{% macro minimum_group_answers() %}20{% endmacro %}

{#- No answer stands for more than so many times the people of an average one. -#}
{% macro largest_weight() %}4{% endmacro %}

{#- How often the weights go round all properties; after six they move no more. -#}
{% macro raking_rounds() %}6{% endmacro %}

{#- By what the silent are compared with those who answered: what a company knows of both. -#}
{% macro nonresponse_properties() %}
    {{ return(['times_asked', 'activity', 'recent_orders', 'recent_trouble', 'mails', 'tenure', 'country']) }}
{% endmacro %}

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

{#- CTEs that give the answers of each profile (a row of `relation`: `invited` and `answered` people alike in
    all properties) the weight that brings every property back to all who were invited in its `period` (raking).
    A value that too few answered is taken together with others of that kind, and where those are still too few,
    with the commonest: it stands in `<property>_group`. The last CTE is called `raked`.
    Weights are decimals: their sums must not depend on the order of the rows. Each step is materialized, or the
    plan of all of them grows without end. -#}
{% macro raked(relation, period, properties) -%}
{%- set last = namespace(name=relation) -%}
{%- for property in properties %}
values_{{ loop.index }} as (
    select
        *,
        case
            when sum(answered) over (partition by {{ period }}, {{ property }}) >= {{ minimum_group_answers() }}
                then {{ property }}
            else 'other'
        end as {{ property }}_group
    from {{ last.name }}
),
sizes_{{ loop.index }} as (
    select *, sum(answered) over (partition by {{ period }}, {{ property }}_group) as answered_of_group
    from values_{{ loop.index }}
),
groups_{{ loop.index }} as materialized (
    select
        * exclude (answered_of_group)
        replace (
            case
                when answered_of_group >= {{ minimum_group_answers() }} then {{ property }}_group
                else arg_max({{ property }}_group, (answered_of_group, {{ property }}_group)) over (partition by {{ period }})
            end as {{ property }}_group
        )
    from sizes_{{ loop.index }}
),
{%- set last.name = 'groups_' ~ loop.index %}
{%- endfor %}
-- the rounds go over numbers alone: they are many, and texts are wide
numbered as materialized (
    select
        *,
        row_number() over (order by {{ period }}, {{ properties | join(', ') }}) as profile_number,
        dense_rank() over (order by {{ period }}) as period_number
        {%- for property in properties %},
        cast(dense_rank() over (order by {{ property }}_group) as smallint) as {{ property }}_number
        {%- endfor %}
    from {{ last.name }}
),
weights_0 as materialized (
    select
        profile_number,
        period_number,
        {%- for property in properties %}
        {{ property }}_number,
        {%- endfor %}
        invited,
        answered,
        sum(invited) over (partition by period_number)
        / nullif(sum(answered) over (partition by period_number), 0) as average_weight,
        cast(average_weight as decimal(18, 9)) as weight
    from numbered
),
{%- set last.name = 'weights_0' %}
{%- for round in range(raking_rounds() | int) %}
{%- for property in properties + ([none] if loop.last else []) %}
{%- set name = 'weights_' ~ (round + 1) ~ '_' ~ loop.index %}
{#- at last all answers together stand for all who were invited #}
{%- set peers = 'partition by period_number' ~ (', ' ~ property ~ '_number' if property else '') %}
{{ name }} as materialized (
    select
        * replace (
            cast(
                least(
                    cast(weight as double) * sum(invited) over ({{ peers }})
                    / nullif(cast(sum(answered * weight) over ({{ peers }}) as double), 0),
                    {{ largest_weight() if property else 1e6 }} * average_weight
                ) as decimal(18, 9)
            ) as weight
        )
    from {{ last.name }}
),
{%- set last.name = name %}
{%- endfor %}
{%- endfor %}
raked as (
    select numbered.*, {{ last.name }}.weight
    from numbered
    inner join {{ last.name }} on numbered.profile_number = {{ last.name }}.profile_number
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
