{#- Every way to reach a customer that any record gives, none dropped: one row per customer, kind and value. -#}
with stated as (
    select customer_id, record_key, source, attribute as kind, value, is_valid, is_verified
    from {{ ref('int_identity__candidates') }}
    where attribute in ('email', 'phone')
),

-- further mailboxes, and the devices a person was seen on
identified as (
    select
        assignments.customer_id,
        identifiers.record_key,
        split_part(identifiers.record_key, ':', 1) as source,
        identifiers.identifier_type as kind,
        identifiers.identifier_value as value,
        true as is_valid,
        cast(null as boolean) as is_verified
    from {{ ref('int_identity__identifiers') }} as identifiers
    inner join {{ ref('int_identity__assignments') }} as assignments
        on identifiers.record_key = assignments.record_key
    anti join stated
        on
            identifiers.record_key = stated.record_key
            and identifiers.identifier_type = stated.kind
            and identifiers.identifier_value = stated.value
    where
        identifiers.identifier_type in ('email', 'visitor')
        and coalesce(identifiers.blocked_by, '') <> 'placeholder'
),

addresses as (
    select
        customer_id,
        record_key,
        source,
        'address' as kind,
        concat_ws(
            ', ',
            max(value) filter (where attribute = 'street'),
            nullif(concat_ws(
                ' ', max(value) filter (where attribute = 'postal_code'), max(value) filter (where attribute = 'city')
            ), ''),
            max(value) filter (where attribute = 'region'),
            max(value) filter (where attribute = 'country')
        ) as value,
        true as is_valid,
        cast(null as boolean) as is_verified
    from {{ ref('int_identity__candidates') }}
    where attribute in ('street', 'postal_code', 'city', 'region', 'country')
    group by customer_id, record_key, source
    having count(*) filter (where attribute in ('street', 'postal_code', 'city')) > 0
),

given as (
    select * from stated
    union all
    select * from identified
    union all
    select * from addresses
),

records as (
    select person_record_key as record_key, created_at, updated_at from {{ ref('person_records') }}
),

points as (
    select
        given.customer_id,
        given.kind,
        given.value,
        arg_min(given.record_key, (
            coalesce(records.created_at, records.updated_at, 'infinity'), given.record_key
        )) as record_key,
        min(coalesce(records.created_at, records.updated_at)) as first_seen_at,
        count(distinct given.record_key) as records,
        count(distinct given.source) as sources,
        bool_and(given.is_valid) as is_valid,
        bool_or(given.is_verified) as is_verified
    from given
    left join records on given.record_key = records.record_key
    group by given.customer_id, given.kind, given.value
),

-- what ties nobody: blocked by a guard, or of two people of one household
untying as (
    select distinct identifier_type as kind, identifier_value as value
    from {{ ref('int_identity__identifiers') }}
    where blocked_by is not null and identifier_type in ('email', 'phone', 'visitor')
    union
    select identifier_type, identifier_value from {{ ref('int_identity__shared_identifiers') }}
),

golden as (
    select customer_id, attribute as kind, value
    from {{ ref('customer_attributes') }}
    where attribute in ('email', 'phone')
    union all
    select distinct attributes.customer_id, 'address', addresses.value
    from {{ ref('customer_attributes') }} as attributes
    inner join addresses
        on attributes.customer_id = addresses.customer_id and attributes.record_key = addresses.record_key
    where attributes.attribute_group = 'address'
),

final as (
    select
        points.customer_id,
        points.kind,
        points.value,
        split_part(points.record_key, ':', 1) as source,
        points.record_key,
        golden.value is not null as is_primary,
        untying.value is not null
        or count(*) over (partition by points.kind, points.value) > 1 as is_shared,
        points.is_valid,
        points.is_verified,
        points.first_seen_at,
        points.records,
        points.sources
    from points
    left join golden
        on
            points.customer_id = golden.customer_id and points.kind = golden.kind and points.value = golden.value
    left join untying on points.kind = untying.kind and points.value = untying.value
)

select {{ contract_columns() }} from final
