{#- Ids given out in the past, newest last; lives in the lake, so that a lost warehouse loses no id. -#}
{% set files = plan().get('registry_files', []) %}
{% if files %}
select * from read_parquet([{% for f in files %}'{{ f | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}])
{% else %}
select
    cast(null as varchar) as record_key,
    cast(null as varchar) as customer_id,
    cast(null as varchar) as minted_from,
    cast(null as timestamp) as assigned_at,
    cast(null as bigint) as sequence
limit 0
{% endif %}
