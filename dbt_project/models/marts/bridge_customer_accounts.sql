{#- Which customer belongs to which company, by contact records, and who is on its leads and opportunities. -#}
with assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

roles as (
    select
        assignments.customer_id,
        records.account_key,
        'contact' as role,
        records.created_at as since
    from {{ ref('person_records') }} as records
    inner join assignments on records.person_record_key = assignments.record_key
    where records.account_key is not null
    union all
    select
        assignments.customer_id,
        opportunities.account_key,
        opportunities.kind as role,
        opportunities.created_at as since
    from {{ ref('opportunities') }} as opportunities
    inner join assignments on opportunities.person_record_key = assignments.record_key
    where opportunities.account_key is not null
    union all
    select
        customer_id,
        account_key,
        'buyer' as role,
        ordered_at as since
    from {{ ref('fct_orders') }}
    where account_key is not null and customer_id is not null
),

grouped as (
    select
        customer_id,
        account_key,
        role,
        min(since) as since,
        count(*) as mentions
    from roles
    group by customer_id, account_key, role
),

-- one account per customer, so that what is added up over accounts is counted once
primaries as (
    select customer_id, account_key
    from grouped
    qualify row_number() over (
        partition by customer_id
        order by
            list_position(['contact', 'buyer', 'opportunity', 'lead'], role),
            mentions desc, since nulls last, account_key
    ) = 1
),

final as (
    select grouped.*, primaries.account_key is not null as is_primary
    from grouped
    left join primaries
        on grouped.customer_id = primaries.customer_id and grouped.account_key = primaries.account_key
)

select {{ contract_columns() }} from final
