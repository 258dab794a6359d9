{#- Every state of every customer with the time from which it was known. What was published before comes
    from the lake; what differs from it now is known from now on. Of states known from the same time,
    which a change of rules makes, the last counts. -#}
with published as (
    select * from {{ ref('int_history__published') }}
    where
        known_from <= {{ as_of() }}
        and customer_id in (select customer_id from {{ ref('int_history__living') }})
),

latest as (
    select
        customer_id,
        arg_max(content_hash, (known_from, version)) as content_hash,
        arg_max(is_gone, (known_from, version)) as is_gone
    from published
    group by customer_id
),

current_customers as (
    select * from {{ ref('int_history__customers') }}
),

states as (
    select * from published
    union all by name
    select
        current_customers.*,
        {{ as_of() }} as known_from,
        '~' as version,  -- sorts behind all versions
        false as is_gone
    from current_customers
    left join latest on current_customers.customer_id = latest.customer_id
    where latest.is_gone is not false or latest.content_hash <> current_customers.content_hash
    union all by name
    select
        latest.customer_id,
        {{ as_of() }} as known_from,
        '~' as version,
        true as is_gone
    from latest
    left join current_customers on latest.customer_id = current_customers.customer_id
    where not latest.is_gone and current_customers.customer_id is null
),

counted as (
    select * from states
    qualify row_number() over (partition by customer_id, known_from order by version desc) = 1
),

final as (
    select
        *,
        lead(known_from) over (partition by customer_id order by known_from) as known_to
    from counted
    qualify not is_gone
)

select {{ contract_columns() }} from final
