{#- The customer id of every record. Clusters and ids are paired by how many records they share: the
    best pair of both sides first, then again among what is left. An id that a record once had comes
    back when nobody holds it; a cluster that gets none founds a new customer. -#}
{% set rounds = 4 %}
with clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

history as (
    select
        *,
        row_number() over (partition by record_key order by sequence desc) = 1 as is_current
    from {{ ref('int_identity__registry') }}
),

known as (
    select record_key, customer_id from history where is_current
),

-- an id that comes back has been the record's since it first was
held as (
    select record_key, customer_id, min(assigned_at) as assigned_at
    from history
    group by record_key, customer_id
),

pairs as (
    select
        clusters.cluster_key,
        clusters.cluster_size,
        history.customer_id,
        history.is_current,
        min(history.minted_from) as minted_from,
        count(distinct history.record_key) as records,
        min(history.assigned_at) as first_assigned_at,
        min(history.sequence) as first_sequence
    from clusters
    inner join history on clusters.record_key = history.record_key
    group by all
),

{% for round in range(rounds) %}
ranked_{{ round }} as (
    select
        *,
        row_number() over (
            partition by customer_id order by is_current desc, records desc, cluster_size desc, cluster_key
        ) as place_for_id,
        row_number() over (
            partition by cluster_key
            order by is_current desc, records desc, first_assigned_at, first_sequence, customer_id
        ) as place_for_cluster
    from pairs
    {% if round > 0 %}
    where
        cluster_key not in (select cluster_key from kept_{{ round - 1 }})
        and customer_id not in (select customer_id from kept_{{ round - 1 }})
    {% endif %}
),

kept_{{ round }} as (
    select cluster_key, customer_id, minted_from
    from ranked_{{ round }}
    where place_for_id = 1 and place_for_cluster = 1
    {% if round > 0 %}
    union all
    select * from kept_{{ round - 1 }}
    {% endif %}
),
{% endfor %}

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
    left join kept_{{ rounds - 1 }} as kept on clusters.cluster_key = kept.cluster_key
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
    coalesce(held.assigned_at, {{ as_of() }}) as assigned_at
from clusters
inner join ids on clusters.cluster_key = ids.cluster_key
left join known on clusters.record_key = known.record_key
left join held on clusters.record_key = held.record_key and ids.customer_id = held.customer_id
