{#- The golden record, value by value, with where it comes from. Attributes of a group come from one record: what
    is valid goes first, then what a record states of itself, then the group's rule; ties go to the fuller, then
    the newer record, then to the source of higher priority and the smaller key. -#}
with cells as (
    select candidates.*, survivorship.attribute_group, survivorship.rule
    from {{ ref('int_identity__candidates') }} as candidates
    inner join {{ ref('survivorship') }} as survivorship on candidates.attribute = survivorship.attribute
),

offers as (
    select
        customer_id,
        attribute_group,
        rule,
        record_key,
        source,
        min(changed_at) as changed_at,
        bool_and(is_valid) as is_valid,
        bool_and(is_stated) as is_stated,
        count(*) as filled,
        md5(string_agg(attribute || '=' || lower(value), chr(31) order by attribute)) as content
    from cells
    group by all
),

prioritised as (
    select offers.*, priorities.priority
    from offers
    left join {{ ref('source_priority') }} as priorities
        on
            priorities.source in (offers.source, '*')
            and priorities.attribute_group in (offers.attribute_group, '*')
    qualify row_number() over (
        partition by offers.customer_id, offers.attribute_group, offers.record_key
        order by (priorities.source = '*')::int, (priorities.attribute_group = '*')::int
    ) = 1
),

counted as (
    select *, count(*) over (partition by customer_id, attribute_group, content) as frequency
    from prioritised
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id, attribute_group
            order by
                is_valid desc,
                is_stated desc,
                case rule
                    when 'source_priority' then -coalesce(priority, 100)
                    when 'most_recent' then epoch_us(changed_at)
                    when 'most_frequent' then frequency
                    when 'most_complete' then filled
                end desc nulls last,
                filled desc,
                changed_at desc nulls last,
                priority nulls last,
                record_key
        ) as place
    from counted
),

choices as (
    select
        customer_id,
        attribute_group,
        arg_min(record_key, place) as record_key,
        arg_min(content, place) as content
    from ranked
    group by customer_id, attribute_group
),

-- the best record that says something else
runners_up as (
    select ranked.customer_id, ranked.attribute_group, arg_min(ranked.record_key, ranked.place) as record_key
    from ranked
    inner join choices
        on ranked.customer_id = choices.customer_id and ranked.attribute_group = choices.attribute_group
    where ranked.content <> choices.content
    group by all
),

candidates as (
    select customer_id, attribute, count(*) as candidates, count(distinct lower(value)) as distinct_values
    from cells
    group by customer_id, attribute
),

final as (
    select
        cells.customer_id,
        cells.attribute,
        cells.attribute_group,
        cells.value,
        cells.source,
        cells.record_key,
        cells.is_valid,
        cells.rule,
        cells.changed_at as since,
        candidates.candidates,
        candidates.distinct_values,
        others.value as runner_up,
        others.source as runner_up_source
    from cells
    inner join choices
        on
            cells.customer_id = choices.customer_id
            and cells.attribute_group = choices.attribute_group
            and cells.record_key = choices.record_key
    inner join candidates on cells.customer_id = candidates.customer_id and cells.attribute = candidates.attribute
    left join runners_up
        on cells.customer_id = runners_up.customer_id and cells.attribute_group = runners_up.attribute_group
    left join cells as others
        on
            runners_up.customer_id = others.customer_id
            and runners_up.record_key = others.record_key
            and cells.attribute = others.attribute
    union all
    select
        customer_id,
        'email_consent' as attribute,
        'consent' as attribute_group,
        cast(has_email_consent as varchar) as value,
        source,
        record_key,
        true as is_valid,
        'most_restrictive' as rule,
        since,
        candidates,
        1 + (overruled_source is not null)::int as distinct_values,
        case when overruled_source is not null then 'true' end as runner_up,
        overruled_source as runner_up_source
    from {{ ref('int_identity__consents') }}
)

select {{ contract_columns() }} from final
