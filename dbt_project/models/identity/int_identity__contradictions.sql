{#- Pairs of records that share a mailbox or telephone and are two people of one household by their scores. -#}
with usable as (
    select record_key, identifier_type, identifier_value
    from {{ ref('int_identity__identifiers') }}
    where blocked_by is null and sharing_records > 1 and identifier_type in ('email', 'phone')
)

select
    l.identifier_type,
    l.identifier_value,
    pairs.left_key,
    pairs.right_key
from {{ ref('int_identity__scored_pairs') }} as pairs
inner join usable as l on pairs.left_key = l.record_key
inner join usable as r
    on
        pairs.right_key = r.record_key
        and l.identifier_type = r.identifier_type
        and l.identifier_value = r.identifier_value
where pairs.level = 'household'
