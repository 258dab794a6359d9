{#- What each guard of identity resolution has kept from being one customer. Pairs are those that the guard's own
    identifiers or ties would have tied and that are two customers now. -#}
with clusters as (
    select record_key, cluster_key, whole_key, whole_size from {{ ref('int_identity__clusters') }}
),

blocked as (
    select
        identifiers.record_key,
        identifiers.identifier_type,
        identifiers.identifier_value,
        case
            when identifiers.blocked_by like 'shared by more than %' then 'shared by too many records'
            else 'pattern'
        end as guard,
        identifiers.blocked_by as reason
    from {{ ref('int_identity__identifiers') }} as identifiers
    where identifiers.blocked_by is not null
    union all
    select
        identifiers.record_key,
        identifiers.identifier_type,
        identifiers.identifier_value,
        'shared by a household' as guard,
        'two records that have it are two people by their scores' as reason
    from {{ ref('int_identity__identifiers') }} as identifiers
    inner join {{ ref('int_identity__shared_identifiers') }} as shared
        on
            identifiers.identifier_type = shared.identifier_type
            and identifiers.identifier_value = shared.identifier_value
    where identifiers.blocked_by is null
),

of_customers as (
    select
        blocked.guard,
        blocked.identifier_type,
        blocked.reason,
        blocked.identifier_value,
        clusters.cluster_key,
        count(*) as records
    from blocked
    inner join clusters on blocked.record_key = clusters.record_key
    group by all
),

of_identifiers as (
    select
        guard,
        identifier_type,
        reason,
        identifier_value,
        sum(records) as records,
        (sum(records) * sum(records) - sum(records * records)) // 2 as pairs
    from of_customers
    group by all
),

identifiers as (
    select
        guard,
        identifier_type,
        reason,
        count(*) as identifiers,
        sum(records) as records,
        sum(pairs) as pairs
    from of_identifiers
    group by guard, identifier_type, reason
),

uncut as (
    select
        whole_key as whole,
        cluster_key as part,
        any_value(whole_size) as whole_size,
        count(*) as records
    from clusters
    group by whole_key, cluster_key
),

wholes as (
    select
        whole,
        max(whole_size) as records,
        (sum(records) * sum(records) - sum(records * records)) // 2 as pairs
    from uncut
    group by whole
    having count(*) > 1
),

-- why a group was taken apart: the first of these that is true of it
kept_apart as (
    select l.whole_key as whole, apart.reason
    from {{ ref('int_identity__apart') }} as apart
    inner join clusters as l on apart.left_key = l.record_key
    inner join clusters as r on apart.right_key = r.record_key and l.whole_key = r.whole_key
),

reasons as (
    select
        wholes.*,
        case
            when wholes.records > settings.max_records then 'too large'
            when bool_or(kept_apart.reason = 'decision') then 'decision'
            when bool_or(kept_apart.reason = 'household') then 'household'
            else 'one account'
        end as guard
    from wholes
    cross join {{ ref('int_identity__settings') }} as settings
    left join kept_apart on wholes.whole = kept_apart.whole
    group by wholes.whole, wholes.records, wholes.pairs, settings.max_records
),

cut as (
    select
        guard,
        'tie' as identifier_type,
        case guard
            when 'too large' then 'more records than `max_records` of the configuration'
            when 'decision' then 'somebody has decided that two of the records are two people'
            when 'household' then 'two of the records are two people of one household by their scores'
            else 'a person has one account in a source, and these have two'
        end as reason,
        count(*) as identifiers,
        sum(records) as records,
        sum(pairs) as pairs
    from reasons
    group by guard
)

select
    guard,
    identifier_type,
    reason,
    cast(identifiers as bigint) as identifiers,
    cast(records as bigint) as records,
    cast(pairs as bigint) as pairs
from identifiers
union all
select
    guard,
    identifier_type,
    reason,
    cast(identifiers as bigint) as identifiers,
    cast(records as bigint) as records,
    cast(pairs as bigint) as pairs
from cut
