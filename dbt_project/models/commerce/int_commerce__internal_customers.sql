select assignments.customer_id
from {{ ref('person_records') }} as records
inner join {{ ref('int_identity__assignments') }} as assignments
    on records.person_record_key = assignments.record_key
where records.is_test or records.is_employee
group by assignments.customer_id
