{#- What makes records one customer: usable identifiers, pairs scored to be one person, decisions.
    Strength says what goes first where a customer has to be taken apart: a tie of a surer kind is
    stronger, and of one kind the one that fewer records share. -#}
with identifiers as (
    select
        identifiers.record_key,
        identifiers.identifier_type,
        identifiers.identifier_value,
        identifiers.strength
    from {{ ref('int_identity__identifiers') }} as identifiers
    left join {{ ref('int_identity__shared_identifiers') }} as shared
        on
            identifiers.identifier_type = shared.identifier_type
            and identifiers.identifier_value = shared.identifier_value
    left join {{ ref('int_identity__odd_records') }} as odd
        on
            identifiers.record_key = odd.record_key
            and identifiers.identifier_type = odd.identifier_type
            and identifiers.identifier_value = odd.identifier_value
    where
        identifiers.blocked_by is null
        and shared.identifier_type is null
        and odd.record_key is null
        -- what a single record has ties it to nobody; each is tied to itself
        and (identifiers.sharing_records > 1 or identifiers.identifier_value = identifiers.record_key)
),

pairs as (
    select left_key, right_key, 'scored' as identifier_type, match_weight
    from {{ ref('int_identity__edges') }}
    where level = 'merge'
    union all
    select left_key, right_key, 'decision', 0
    from {{ ref('int_identity__decisions') }}
    where
        decision = 'merge'
        and left_key in (select record_key from {{ ref('int_identity__person_records') }})
        and right_key in (select record_key from {{ ref('int_identity__person_records') }})
),

types as (
    select identifier_type, confidence from {{ ref('identity_identifier_types') }}
)

select record_key, identifier_type, identifier_value, strength
from identifiers
union all
select
    unnest([pairs.left_key, pairs.right_key]) as record_key,
    pairs.identifier_type,
    pairs.left_key || ' ' || pairs.right_key as identifier_value,
    cast(100 * types.confidence + round(least(99, greatest(0, pairs.match_weight))) as bigint) as strength
from pairs
inner join types on pairs.identifier_type = types.identifier_type
