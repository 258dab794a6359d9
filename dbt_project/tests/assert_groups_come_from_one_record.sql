-- No name, address or employment of a golden record combines two records, and every value is one its record offers.
select customer_id, attribute_group
from {{ ref('customer_attributes') }}
group by customer_id, attribute_group
having count(distinct record_key) > 1
union all
select customer_id, attribute
from {{ ref('customer_attributes') }}
where
    attribute_group <> 'consent'
    and (customer_id, record_key, attribute, value) not in (
        select (customer_id, record_key, attribute, value) from {{ ref('int_identity__candidates') }}
    )
