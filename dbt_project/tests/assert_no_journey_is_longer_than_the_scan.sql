-- The machine composes at most 65,536 steps of a customer: more would lose the earliest ones.
select customer_id, count(*) as touches
from {{ ref('int_journey__touches') }}
where customer_id is not null and occurred_at is not null and evidence <> 'none'
group by customer_id
having count(*) > 65536
