{#- What this build adds to the registry of households: who came into which, and who left theirs for none. -#}
with before as (
    select customer_id, household_id
    from {{ ref('int_identity__household_registry') }}
    qualify row_number() over (partition by customer_id order by sequence desc) = 1
)

select
    coalesce(now.customer_id, before.customer_id) as customer_id,
    now.household_id,
    {{ as_of() }} as assigned_at
from {{ ref('int_identity__households') }} as now
full join before on now.customer_id = before.customer_id
where now.household_id is distinct from before.household_id
