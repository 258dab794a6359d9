{#- The customer id of every record. An id goes on with the cluster that holds most of its records;
    a cluster that has a right to several keeps the one that brings most records, then the oldest. -#}
with clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

known as (
    select record_key, customer_id, minted_from, assigned_at, sequence
    from {{ ref('int_identity__registry') }}
    qualify row_number() over (partition by record_key order by sequence desc) = 1
),

overlap as (
    select
        clusters.cluster_key,
        clusters.cluster_size,
        known.customer_id,
        min(known.minted_from) as minted_from,
        count(*) as records,
        min(known.assigned_at) as first_assigned_at,
        min(known.sequence) as first_sequence
    from clusters
    inner join known on clusters.record_key = known.record_key
    group by all
),

heirs as (
    select * from overlap
    qualify row_number() over (
        partition by customer_id order by records desc, cluster_size desc, cluster_key
    ) = 1
),

kept as (
    select * from heirs
    qualify row_number() over (
        partition by cluster_key order by records desc, first_assigned_at, first_sequence, customer_id
    ) = 1
),

-- a record whose id went elsewhere may found a new customer: the count keeps the ids apart
minted_before as (
    select minted_from, count(distinct customer_id) as ids
    from {{ ref('int_identity__registry') }}
    group by minted_from
),

ids as (
    select
        clusters.cluster_key,
        coalesce(
            kept.customer_id,
            'c' || left(md5(clusters.cluster_key || '#' || coalesce(minted_before.ids, 0)), 16)
        ) as customer_id,
        coalesce(kept.minted_from, clusters.cluster_key) as minted_from
    from (select distinct cluster_key from clusters) as clusters
    left join kept on clusters.cluster_key = kept.cluster_key
    left join minted_before on clusters.cluster_key = minted_before.minted_from
)

select
    clusters.record_key,
    clusters.cluster_key,
    clusters.cluster_size,
    clusters.cut_below,
    ids.customer_id,
    ids.minted_from,
    known.customer_id as previous_customer_id,
    case when known.customer_id = ids.customer_id then known.assigned_at else {{ as_of() }} end as assigned_at
from clusters
inner join ids on clusters.cluster_key = ids.cluster_key
left join known on clusters.record_key = known.record_key
