{#- What makes customers one household, one row per customer and tie: a pair of records that is of one household by
    their scores, the same family name at the same address, or a mailbox, telephone or device that is known to be
    of several people. More than 8 customers there are no household but a house, a firm or a counter. -#}
with assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

pairs as (
    select distinct
        least(l.customer_id, r.customer_id) as left_id,
        greatest(l.customer_id, r.customer_id) as right_id
    from {{ ref('int_identity__edges') }} as edges
    inner join assignments as l on edges.left_key = l.record_key
    inner join assignments as r on edges.right_key = r.record_key
    where edges.level = 'household' and l.customer_id <> r.customer_id
),

homes as (
    select distinct
        assignments.customer_id,
        people.family_key || '|' || people.address_key as home
    from {{ ref('int_identity__comparable') }} as people
    inner join assignments on people.record_key = assignments.record_key
    where people.family_key is not null and people.address_key is not null
),

shared as (
    select distinct
        assignments.customer_id,
        identifiers.identifier_type,
        identifiers.identifier_value
    from {{ ref('int_identity__identifiers') }} as identifiers
    inner join assignments on identifiers.record_key = assignments.record_key
    left join {{ ref('int_identity__shared_identifiers') }} as of_two
        on
            identifiers.identifier_type = of_two.identifier_type
            and identifiers.identifier_value = of_two.identifier_value
    where
        of_two.identifier_type is not null
        or identifiers.blocked_by = 'mailbox of a family'
        -- a device that two people have logged in on; a visitor who never did is nobody yet
        or (
            identifiers.identifier_type = 'visitor'
            and identifiers.blocked_by is not null
            and identifiers.record_key not like '%:visitor:%'
        )
)

select
    unnest([left_id, right_id]) as customer_id,
    'pair' as identifier_type,
    left_id || ' ' || right_id as identifier_value,
    cast(2 as bigint) as strength
from pairs
union all
select
    customer_id,
    'shared ' || identifier_type as identifier_type,
    identifier_value,
    cast(2 as bigint) as strength
from shared
qualify count(*) over (partition by identifier_type, identifier_value) between 2 and 8
union all
select customer_id, 'address' as identifier_type, home as identifier_value, cast(1 as bigint) as strength
from homes
qualify count(*) over (partition by home) between 2 and 8
