{#- What makes customers one household, one row per customer and tie: a pair of records that is of one household by
    their scores, the same family name at the same address, or a mailbox, telephone or device that is known to be
    of several people. More than 8 customers there are no household but a house, a firm or a counter. Two customers
    who may be one person, by a pair in doubt that nobody has decided on and no other pair contradicts, are one here:
    alone they are no household. -#}
with assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

between_customers as (
    select
        edges.level,
        edges.left_key,
        edges.right_key,
        least(l.customer_id, r.customer_id) as left_id,
        greatest(l.customer_id, r.customer_id) as right_id
    from {{ ref('int_identity__edges') }} as edges
    inner join assignments as l on edges.left_key = l.record_key
    inner join assignments as r on edges.right_key = r.record_key
    where edges.level in ('household', 'review') and l.customer_id <> r.customer_id
),

pairs as (
    select distinct left_id, right_id from between_customers where level = 'household'
),

in_doubt as (
    select distinct between_customers.left_id, between_customers.right_id
    from between_customers
    left join {{ ref('int_identity__decisions') }} as decisions
        on between_customers.left_key = decisions.left_key and between_customers.right_key = decisions.right_key
    left join pairs
        on between_customers.left_id = pairs.left_id and between_customers.right_id = pairs.right_id
    where between_customers.level = 'review' and decisions.decision_id is null and pairs.left_id is null
),

-- the smallest id among those who may be the same person
nearest as (
    select customer_id, min(other_id) as other_id
    from (
        select right_id as customer_id, left_id as other_id from in_doubt
        union all
        select customer_id, customer_id as other_id from assignments
    ) as others
    group by customer_id
),

people as (
    select nearest.customer_id, next.other_id as person
    from nearest
    inner join nearest as next on nearest.other_id = next.customer_id
),

homes as (
    select distinct
        assignments.customer_id,
        people.person,
        records.family_key || '|' || records.address_key as home
    from {{ ref('int_identity__comparable') }} as records
    inner join assignments on records.record_key = assignments.record_key
    inner join people on assignments.customer_id = people.customer_id
    where records.family_key is not null and records.address_key is not null
),

shared as (
    select distinct
        assignments.customer_id,
        people.person,
        identifiers.identifier_type,
        identifiers.identifier_value
    from {{ ref('int_identity__identifiers') }} as identifiers
    inner join assignments on identifiers.record_key = assignments.record_key
    inner join people on assignments.customer_id = people.customer_id
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
qualify
    count(*) over (partition by identifier_type, identifier_value) <= 8
    and count(distinct person) over (partition by identifier_type, identifier_value) > 1
union all
select customer_id, 'address' as identifier_type, home as identifier_value, cast(1 as bigint) as strength
from homes
qualify count(*) over (partition by home) <= 8 and count(distinct person) over (partition by home) > 1
