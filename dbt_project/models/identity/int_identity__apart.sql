{#- Pairs of records that are two people: by decision, or of one household with names or birth dates that differ. -#}
select left_key, right_key, 'decision' as reason
from {{ ref('int_identity__decisions') }}
where decision = 'apart'
union all
select pairs.left_key, pairs.right_key, 'household' as reason
from {{ ref('int_identity__edges') }} as pairs
left join {{ ref('int_identity__decisions') }} as decisions
    on pairs.left_key = decisions.left_key and pairs.right_key = decisions.right_key
where pairs.level = 'household' and pairs.match_probability >= 0.5 and decisions.decision_id is null
