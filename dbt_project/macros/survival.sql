{#- Time to an event, when some still wait for it: nobody is dropped for not having finished yet.

    Both estimators read `relation`, one row per subject: `time` is how long it was watched, in any unit,
    not negative; `by` are the columns (a list) that tell curves apart. Rows without a time are not counted.
    The curves are linear in the rows. Intervals are of 95 %, on the log-log scale as is usual; they take
    the rows as independent. -#}

{#- Kaplan-Meier: the share that has had no event by `t`. `event` is true where it came, false where the
    subject was last seen without. Gives `by`, t, at_risk, events, censored, survival, ci_low, ci_high
    (no bounds once nobody is left), one row per distinct time. Use as a CTE: curve as ( ... ). -#}
{% macro kaplan_meier(relation, by, time, event) %}
    {%- set keys = by | join(', ') ~ (', ' if by else '') -%}
    {%- set curve = 'partition by ' ~ by | join(', ') if by else '' %}
    select
        {{ keys }}t, at_risk, events, censored, survival,
        case
            when survival = 1 then 1.0
            when survival > 0 then power(survival, exp({{ z() }} * sqrt(greenwood) / abs(ln(survival))))
        end as ci_low,
        case
            when survival = 1 then 1.0
            when survival > 0 then power(survival, exp(-{{ z() }} * sqrt(greenwood) / abs(ln(survival))))
        end as ci_high
    from (
        select
            *,
            product(1 - events / at_risk) over so_far as survival,
            sum(case when at_risk > events then events / (at_risk * (at_risk - events)) else 0 end) over so_far
            as greenwood
        from ({{ _at_risk(relation, by, time, 'count(*) filter (where ' ~ event ~ ')') }}) as risk_sets
        window so_far as ({{ curve }} order by t rows between unbounded preceding and current row)
    ) as estimates
{% endmacro %}

{#- When the share that had no event first falls to 1 - q, with its interval (both null where it never
    does, and where fewer than `at_least` were still watched then: where a handful is left, each of them
    moves the curve by a jump): the column list for a `group by` of a curve of kaplan_meier. -#}
{% macro survival_quantile(q, name, at_least=none) -%}
    {%- for column, bound in (('', 'survival'), ('_low', 'ci_low'), ('_high', 'ci_high')) -%}
    case
        when
            coalesce(
                arg_min(at_risk, t) filter (where survival <= {{ 1 - q }} + 1e-12) >= {{ at_least or least_at_risk() }},
                true
            )
            then min(t) filter (where {{ bound }} <= {{ 1 - q }} + 1e-12)
    end as {{ name }}{{ column }}{{ ',' if not loop.last }}
    {% endfor -%}
{%- endmacro %}

{#- How many have to be watched still at a quantile for it to be told. -#}
{% macro least_at_risk() %}10{% endmacro %}

{#- Aalen-Johansen: the share that has left by `t` for each of several causes that exclude each other.
    `cause` is null where the subject was last seen without any. Gives `by`, cause, t, at_risk, events,
    incidence, ci_low, ci_high: for every cause of a curve one row per time at which anybody left. -#}
{% macro aalen_johansen(relation, by, time, cause) %}
    {%- set keys = by | join(', ') ~ (', ' if by else '') -%}
    {%- set curve = 'partition by ' ~ keys ~ 'cause' -%}
    {%- set incidence -%}
    sum(risk_sets.before * coalesce(counts.events, 0) / risk_sets.at_risk) over (
        partition by {% for key in by %}risk_sets.{{ key }}, {% endfor %}causes.cause
        order by risk_sets.t rows between unbounded preceding and current row
    )
    {%- endset -%}
    {%- set same = [] -%}
    {%- for key in by %}{% do same.append('risk_sets.' ~ key ~ ' is not distinct from {}.' ~ key) %}{% endfor %}
    select
        {{ keys }}cause, t, at_risk, events, incidence,
        case
            when incidence > 0 and incidence < 1 and variance > 0
                then power(incidence, exp({{ z() }} * sqrt(variance) / abs(incidence * ln(incidence))))
            else {{ wilson('incidence * subjects', 'subjects', 'low') }}
        end as ci_low,
        case
            when incidence > 0 and incidence < 1 and variance > 0
                then power(incidence, exp(-{{ z() }} * sqrt(variance) / abs(incidence * ln(incidence))))
            else {{ wilson('incidence * subjects', 'subjects', 'high') }}
        end as ci_high
    from (
        select
            *,
            -- the delta method, its squares multiplied out so that running sums suffice
            greatest(0, incidence * incidence * sum(hazard) over so_far
            - 2 * incidence * sum(incidence * hazard) over so_far
            + sum(incidence * incidence * hazard) over so_far
            + sum(before * before * events * (at_risk - events) / power(at_risk, 3)) over so_far
            - 2 * incidence * sum(before * events / power(at_risk, 2)) over so_far
            + 2 * sum(incidence * before * events / power(at_risk, 2)) over so_far) as variance
        from (
            select
                risk_sets.* exclude (events),
                causes.cause,
                coalesce(counts.events, 0) as events,
                -- a sum of steps can miss 1 by a rounding error, and a share of all is 1
                case when abs({{ incidence }} - 1) < 1e-12 then 1 else {{ incidence }} end as incidence
            from (
                select
                    *,
                    coalesce(product(1 - events / at_risk) over (
                        {{ 'partition by ' ~ by | join(', ') if by }} order by t
                        rows between unbounded preceding and 1 preceding
                    ), 1) as before,
                    case when at_risk > events then events / (at_risk * (at_risk - events)) else 0 end as hazard
                from ({{ _at_risk(relation, by, time, 'count(' ~ cause ~ ')') }}) as all_causes
                where at_risk > 0
            ) as risk_sets
            inner join (
                select distinct {{ keys }}{{ cause }} as cause from {{ relation }}
                where {{ cause }} is not null and {{ time }} is not null
            ) as causes on {{ same | join(' and ') | replace('{}', 'causes') or 'true' }}
            left join (
                select {{ keys }}{{ cause }} as cause, {{ time }} as t, count(*) as events
                from {{ relation }}
                where {{ cause }} is not null and {{ time }} is not null
                group by all
            ) as counts
                on risk_sets.t = counts.t and causes.cause = counts.cause
                {{ 'and ' ~ same | join(' and ') | replace('{}', 'counts') if by }}
            where risk_sets.events > 0
        ) as incidences
        window so_far as ({{ curve }} order by t rows between unbounded preceding and current row)
    ) as estimates
{% endmacro %}

{#- How many were still watched at each time, and how many of them had the event then. -#}
{% macro _at_risk(relation, by, time, events) %}
    {%- set keys = by | join(', ') ~ (', ' if by else '') -%}
    {%- set curve = 'partition by ' ~ by | join(', ') if by else '' %}
    select
        *,
        sum(events + censored) over ({{ curve }}) as subjects,
        sum(events + censored) over (
            {{ curve }} order by t desc rows between unbounded preceding and current row
        ) as at_risk
    from (
        select {{ keys }}{{ time }} as t, {{ events }} as events, count(*) - {{ events }} as censored
        from {{ relation }}
        where {{ time }} is not null
        group by all
    ) as times
{% endmacro %}
