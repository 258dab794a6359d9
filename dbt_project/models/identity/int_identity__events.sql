{#- What this build does to customer ids, and why: merges, splits, moves, source merges, decisions, erasures and
    returns. -#}
with assignments as (
    select * from {{ ref('int_identity__assignments') }}
),

registry as (
    select record_key, customer_id
    from {{ ref('int_identity__registry') }}
    qualify row_number() over (partition by record_key order by sequence desc) = 1
),

moved as (
    select record_key, previous_customer_id as from_id, customer_id as to_id, cut_below
    from assignments
    where previous_customer_id <> customer_id
),

held as (
    select distinct customer_id from assignments
),

held_before as (
    select distinct customer_id from registry
),

-- what ties the records that moved to those they came to
ties as (
    select
        moved.from_id, moved.to_id, mine.identifier_type, mine.strength,
        least(moved.record_key, theirs.record_key) as left_key,
        greatest(moved.record_key, theirs.record_key) as right_key
    from moved
    inner join {{ ref('int_identity__ties') }} as mine on moved.record_key = mine.record_key
    inner join {{ ref('int_identity__ties') }} as theirs
        on mine.identifier_type = theirs.identifier_type and mine.identifier_value = theirs.identifier_value
    inner join assignments
        on
            theirs.record_key = assignments.record_key
            and moved.to_id = assignments.customer_id
            and moved.from_id is distinct from assignments.previous_customer_id
    qualify row_number() over (
        partition by moved.from_id, moved.to_id order by mine.strength desc, moved.record_key, theirs.record_key
    ) <= 3
),

evidence as (
    select
        ties.from_id, ties.to_id,
        arg_max(ties.identifier_type, ties.strength) as strongest,
        cast(to_json(list(struct_pack(
            rule := ties.identifier_type, strength := ties.strength,
            left_key := ties.left_key, right_key := ties.right_key,
            match_weight := edges.match_weight, comparisons := edges.evidence
        ) order by ties.strength desc, ties.left_key, ties.right_key)) as varchar) as evidence
    from ties
    left join {{ ref('int_identity__edges') }} as edges
        on
            case ties.identifier_type when 'scored' then ties.left_key end = edges.left_key
            and ties.right_key = edges.right_key
    group by ties.from_id, ties.to_id
),

told_apart as (
    select distinct l.customer_id as one_id, r.customer_id as other_id
    from {{ ref('int_identity__decisions') }} as decisions
    inner join assignments as l on decisions.left_key = l.record_key
    inner join assignments as r on decisions.right_key = r.record_key
    where decisions.decision = 'apart' and l.customer_id <> r.customer_id
),

changes as (
    select
        moved.from_id, moved.to_id,
        case
            when moved.from_id not in (select customer_id from held) then 'merge'
            when moved.to_id in (select customer_id from held_before) then 'move'
            else 'split'
        end as kind,
        max(moved.cut_below) as cut_below,
        list(moved.record_key order by moved.record_key) as record_keys
    from moved
    group by moved.from_id, moved.to_id
),

reasoned as (
    select
        changes.kind, changes.from_id, changes.to_id, changes.record_keys, evidence.evidence,
        case
            when told_apart.one_id is not null then 'decision'
            when changes.kind <> 'split' then coalesce(evidence.strongest, 'tie gone')
            when changes.cut_below is not null then 'cut at its weakest tie'
            else 'tie gone'
        end as reason
    from changes
    left join evidence on changes.from_id = evidence.from_id and changes.to_id = evidence.to_id
    left join told_apart
        on changes.from_id = told_apart.one_id and changes.to_id = told_apart.other_id
),

-- of an id that has gone or come back: how often the ledger says so
told as (
    select
        from_id as customer_id,
        count(*) filter (where kind = 'erasure') as erasures,
        count(*) filter (where kind = 'return') as returns
    from {{ ref('int_identity__ledger') }}
    where kind in ('erasure', 'return')
    group by from_id
),

gone as (
    select
        'erasure' as kind, registry.customer_id as from_id, cast(null as varchar) as to_id,
        list(registry.record_key order by registry.record_key) as record_keys,
        cast(null as varchar) as evidence, 'no record is left' as reason,
        coalesce(any_value(told.erasures), 0) as times
    from registry
    left join told on registry.customer_id = told.customer_id
    where coalesce(told.erasures <= told.returns, true)
    group by registry.customer_id
    having
        registry.customer_id not in (select customer_id from held)
        and registry.customer_id not in (select from_id from moved)
),

returned as (
    select
        'return' as kind, assignments.customer_id as from_id, assignments.customer_id as to_id,
        list(assignments.record_key order by assignments.record_key) as record_keys,
        cast(null as varchar) as evidence, 'a record is there again' as reason,
        any_value(told.erasures) as times
    from assignments
    inner join told on assignments.customer_id = told.customer_id
    where told.erasures > told.returns
    group by assignments.customer_id
),

logged as (
    select distinct kind, unnest(record_keys) as record_key
    from {{ ref('int_identity__ledger') }}
    where kind = 'source_merge'
),

source_merges as (
    select
        'source_merge' as kind, assignments.customer_id as from_id, assignments.customer_id as to_id,
        [records.record_key, records.source || ':' || records.merged_into_id] as record_keys,
        cast(null as varchar) as evidence, 'merged in ' || records.source as reason
    from {{ ref('int_identity__person_records') }} as records
    inner join assignments on records.record_key = assignments.record_key
    where
        records.merged_into_id is not null
        and records.record_key not in (select record_key from logged)
),

decided as (
    select
        'decision' as kind, l.customer_id as from_id, r.customer_id as to_id,
        [decisions.left_key, decisions.right_key] as record_keys,
        cast(to_json(struct_pack(decision := decisions.decision, decision_id := decisions.decision_id)) as varchar)
            as evidence,
        decisions.reason, decisions.decided_at, decisions.actor, decisions.decision_id
    from {{ ref('int_identity__decisions') }} as decisions
    left join assignments as l on decisions.left_key = l.record_key
    left join assignments as r on decisions.right_key = r.record_key
    where decisions.decision_id not in (
        select evidence ->> '$.decision_id' from {{ ref('int_identity__ledger') }} where kind = 'decision'
    )
),

events as (
    select * from reasoned
    union all by name
    select * from gone
    union all by name
    select * from returned
    union all by name
    select * from source_merges
    union all by name
    select * from decided
)

select
    coalesce(decision_id, md5(concat_ws('|', kind, from_id, to_id, array_to_string(record_keys, ','), coalesce(
        times, (select coalesce(max(sequence), 0) from {{ ref('int_identity__registry') }})
    )))) as event_id,
    kind,
    from_id,
    to_id,
    reason,
    coalesce(decided_at, {{ as_of() }}) as occurred_at,
    '{{ plan().get("run_id", "") }}' as run_id,
    coalesce(actor, 'rules') as actor,
    len(record_keys) as records,
    record_keys[1:100] as record_keys,
    evidence
from events
