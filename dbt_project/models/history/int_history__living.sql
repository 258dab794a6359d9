{#- Ids, of today or earlier, of customers of whom a source still has a record: an id that went into
    another customer's lives on with its records; whom no source knows any more is not among them. -#}
select customer_id from {{ ref('customer_360') }}
union
select registry.customer_id
from {{ ref('int_identity__registry') }} as registry
inner join {{ ref('int_identity__assignments') }} as assignments on registry.record_key = assignments.record_key
