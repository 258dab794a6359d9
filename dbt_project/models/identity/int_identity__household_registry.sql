{#- Which household each customer was ever put into, as the lake keeps it. -#}
{% set files = plan().get('household_files', []) %}
{% if files %}
select customer_id, household_id, assigned_at, sequence
from read_parquet([{% for f in files %}'{{ f | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}])
{% else %}
select
    cast(null as varchar) as customer_id,
    cast(null as varchar) as household_id,
    cast(null as timestamp) as assigned_at,
    cast(null as bigint) as sequence
limit 0
{% endif %}
