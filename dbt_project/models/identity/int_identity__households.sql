{#- The household of every customer who lives with another one. An id goes to where most of its members are now, of
    several a household takes the one that most of its members had: so it keeps its id whoever comes or goes, a union
    keeps one, of a split the larger part inherits. Who has it counts before who once had it; an id that nobody has
    comes back with them. -#}
with members as (
    select record_key as customer_id, cluster_key, cluster_size
    from {{ ref('int_identity__household_clusters') }}
    where cluster_size > 1
),

history as (
    select
        *,
        row_number() over (partition by customer_id order by sequence desc) = 1 as is_current
    from {{ ref('int_identity__household_registry') }}
),

claims as (
    select
        members.cluster_key,
        members.cluster_size,
        history.household_id,
        count(distinct case when history.is_current then history.customer_id end) as current_members,
        count(distinct history.customer_id) as former_members,
        min(history.sequence) as first_sequence
    from members
    inner join history on members.customer_id = history.customer_id
    where history.household_id is not null
    group by members.cluster_key, members.cluster_size, history.household_id
),

followed as (
    select *
    from claims
    qualify row_number() over (
        partition by household_id
        order by current_members desc, former_members desc, cluster_size desc, cluster_key
    ) = 1
),

kept as (
    select cluster_key, household_id
    from followed
    qualify row_number() over (
        partition by cluster_key
        order by current_members desc, former_members desc, first_sequence, household_id
    ) = 1
),

-- a new one is named after its first member, and how many ids that one had before
founded as (
    select cluster_key, min(customer_id) as founder
    from members
    group by cluster_key
),

had as (
    select customer_id, count(distinct household_id) as ids
    from history
    group by customer_id
)

select
    members.customer_id,
    coalesce(
        kept.household_id, 'h' || left(md5(founded.founder || '#' || coalesce(had.ids, 0)), 16)
    ) as household_id
from members
inner join founded on members.cluster_key = founded.cluster_key
left join kept on members.cluster_key = kept.cluster_key
left join had on founded.founder = had.customer_id
