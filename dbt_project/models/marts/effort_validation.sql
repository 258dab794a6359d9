{#- Does the effort that is seen go with the effort that is felt? Rank correlation of the index and of each of
    its parts with CES 2.0 answers: below 0 where those who had more of it found it less easy. Ranks are kept
    whole by doubling, so that no sum depends on the order of the rows. -#}
with answers as (
    select responses.*
    from {{ ref('fct_survey_responses') }} as responses
    inner join {{ ref('customer_360') }} as customers on responses.customer_id = customers.customer_id
    where responses.ces_version = '2.0' and not customers.is_test and not customers.is_employee
),

ticket_efforts as (
    select *, {{ effort_index() }} as effort_index
    from {{ ref('int_survey__contact_effort') }}
    where ticket_key is not null
),

efforts as (
    select
        'customer' as level, efforts.customer_id as subject, efforts.effort_index,
        {% for part in effort_parts() %}
        efforts.{{ part }},
        {% endfor %}
        avg(cast(answers.score as decimal(18, 4))) as score
    from {{ ref('int_survey__effort') }} as efforts
    inner join answers on efforts.customer_id = answers.customer_id
    group by all
    union all by name
    select
        'ticket' as level, efforts.ticket_key as subject, efforts.effort_index,
        {% for part in effort_parts() %}
        efforts.{{ part }},
        {% endfor %}
        avg(cast(answers.score as decimal(18, 4))) as score
    from ticket_efforts as efforts
    inner join answers on efforts.ticket_key = answers.ticket_key
    group by all
),

measured as (
    {% for part in ['effort_index'] + effort_parts() %}
    select level, subject, '{{ part }}' as part, cast({{ part }} as double) as value, score from efforts
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

places as (
    select
        level,
        part,
        2 * rank() over (partition by level, part order by value)
        + count(*) over (partition by level, part, value) as x,
        2 * rank() over (partition by level, part order by score)
        + count(*) over (partition by level, part, score) as y
    from measured
),

sums as (
    select
        level,
        part,
        count(*) as n,
        cast(count(*) * sum(x * y) - sum(x) * sum(y) as double) as covariance,
        cast(count(*) * sum(x * x) - sum(x) * sum(x) as double) as variance_x,
        cast(count(*) * sum(y * y) - sum(y) * sum(y) as double) as variance_y
    from places
    group by level, part
),

correlated as (
    select
        *,
        case when variance_x > 0 and variance_y > 0 then covariance / sqrt(variance_x * variance_y) end as spearman
    from sums
),

bounded as (
    select
        *,
        {{ spearman_bound('spearman', 'n', 'low') }} as ci_low,
        {{ spearman_bound('spearman', 'n', 'high') }} as ci_high
    from correlated
),

final as (
    select *, level || ' ' || part as validation_key, case when n > 3 then ci_high < 0 end as is_confirmed from bounded
)

select {{ contract_columns() }} from final
