{#- The golden record, value by value, with where it comes from. Attributes of a group come from one record: what
    is valid goes first, then what a record states of itself, then the group's rule; ties go to the fuller, then
    the newer record, then to the source of higher priority and the smaller key. A name is as frequent as it is
    written in full, in however many parts; of sources the one with more of the group goes before the better one. -#}
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
        coalesce(
            min(lower(trim(value))) filter (where attribute = 'full_name'),
            md5(string_agg(attribute || '=' || lower(value), chr(31) order by attribute))
        ) as content
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
                case when rule = 'source_priority' then filled end desc,
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

placed as (
    select cells.*, ranked.place
    from cells
    inner join ranked
        on
            cells.customer_id = ranked.customer_id
            and cells.attribute_group = ranked.attribute_group
            and cells.record_key = ranked.record_key
),

chosen as (
    select * from placed where place = 1
),

-- what the best record says that says something else
runners_up as (
    select
        placed.customer_id,
        placed.attribute,
        arg_min(placed.value, placed.place) as value,
        arg_min(placed.source, placed.place) as source
    from placed
    inner join chosen on placed.customer_id = chosen.customer_id and placed.attribute = chosen.attribute
    where lower(placed.value) <> lower(chosen.value)
    group by all
),

candidates as (
    select customer_id, attribute, count(*) as candidates, count(distinct lower(value)) as distinct_values
    from cells
    group by customer_id, attribute
),

final as (
    select
        chosen.customer_id,
        chosen.attribute,
        chosen.attribute_group,
        chosen.value,
        chosen.source,
        chosen.record_key,
        chosen.is_valid,
        chosen.rule,
        chosen.changed_at as since,
        candidates.candidates,
        candidates.distinct_values,
        runners_up.value as runner_up,
        runners_up.source as runner_up_source
    from chosen
    inner join candidates on chosen.customer_id = candidates.customer_id and chosen.attribute = candidates.attribute
    left join runners_up on chosen.customer_id = runners_up.customer_id and chosen.attribute = runners_up.attribute
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
