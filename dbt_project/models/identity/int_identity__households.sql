{#- The household of every customer who lives with another one. A household is named after the customer among it
    who was known first, so it keeps its id while that customer stays in it, whoever comes or goes. -#}
with members as (
    select record_key as customer_id, cluster_key
    from {{ ref('int_identity__household_clusters') }}
    where cluster_size > 1
),

known as (
    select customer_id, min(assigned_at) as known_at
    from (
        select customer_id, assigned_at from {{ ref('int_identity__registry') }}
        union all
        select customer_id, assigned_at from {{ ref('int_identity__assignments') }}
    ) as assigned
    group by customer_id
)

select
    members.customer_id,
    'h' || left(md5(first_value(members.customer_id) over (
        partition by members.cluster_key order by known.known_at, members.customer_id
    )), 16) as household_id
from members
inner join known on members.customer_id = known.customer_id
