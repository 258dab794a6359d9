{#- Records that alone contradict the others of their mailbox: a name badly spelled or split, or somebody who once used
    it. The mailbox ties the others, and not them. Of two records that contradict each other, the odd one is the one
    that agrees with fewer others there; if neither is, the mailbox is shared. -#}
with contradicting as (
    select
        identifier_type,
        identifier_value,
        unnest([left_key, right_key]) as record_key,
        count(*) over (partition by identifier_type, identifier_value) as pairs
    from {{ ref('int_identity__contradictions') }}
    where identifier_type = 'email'
),

-- who is in every contradiction: nobody, where there are two records on either side
candidates as (
    select identifier_type, identifier_value, record_key
    from contradicting
    group by identifier_type, identifier_value, record_key
    having count(*) = max(pairs)
),

agreeing as (
    select unnest([left_key, right_key]) as record_key, unnest([right_key, left_key]) as other_key
    from {{ ref('int_identity__scored_pairs') }}
    where level = 'merge'
),

weighed as (
    select
        candidates.identifier_type,
        candidates.identifier_value,
        candidates.record_key,
        count(others.record_key) as agreements
    from candidates
    left join agreeing on candidates.record_key = agreeing.record_key
    left join {{ ref('int_identity__identifiers') }} as others
        on
            agreeing.other_key = others.record_key
            and candidates.identifier_type = others.identifier_type
            and candidates.identifier_value = others.identifier_value
    group by all
),

bounds as (
    select
        identifier_type,
        identifier_value,
        count(*) as candidates,
        min(agreements) as fewest,
        max(agreements) as most
    from weighed
    group by identifier_type, identifier_value
)

select weighed.identifier_type, weighed.identifier_value, weighed.record_key
from weighed
inner join bounds
    on
        weighed.identifier_type = bounds.identifier_type
        and weighed.identifier_value = bounds.identifier_value
where
    bounds.candidates = 1
    or (weighed.agreements = bounds.fewest and bounds.fewest < bounds.most)
