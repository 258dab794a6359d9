{#- What ties records together: one row per record and identifier, with the guard that stopped it. -#}
with identifiers as (
    select * from {{ ref('int_identity__stated_identifiers') }}
),

spread as (
    -- a device counts as one record of its own, whether or not it was ever used without logging in
    select
        identifier_type,
        identifier_value,
        count(*) filter (
            where identifier_type <> 'visitor' or record_key <> regexp_replace(identifier_value, ':', ':visitor:')
        ) + (identifier_type = 'visitor')::int as records
    from identifiers
    group by identifier_type, identifier_value
)

select
    identifiers.record_key,
    identifiers.identifier_type,
    identifiers.identifier_value,
    types.confidence,
    spread.records as sharing_records,
    cast(100 * types.confidence - 10 * least(9, floor(log2(greatest(spread.records, 1)))) as bigint) as strength,
    case
        when identifiers.identifier_value = identifiers.record_key then null
        when blocked.reason is not null then blocked.reason
        when spread.records > types.max_records then 'shared by more than ' || types.max_records || ' records'
    end as blocked_by
from identifiers
inner join {{ ref('identity_identifier_types') }} as types
    on identifiers.identifier_type = types.identifier_type
inner join spread
    on
        identifiers.identifier_type = spread.identifier_type
        and identifiers.identifier_value = spread.identifier_value
left join {{ ref('int_identity__blocked_values') }} as blocked
    on
        identifiers.identifier_type = blocked.identifier_type
        and identifiers.identifier_value = blocked.identifier_value
