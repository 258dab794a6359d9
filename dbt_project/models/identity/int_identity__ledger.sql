{#- What has happened to customer ids, as the lake keeps it. -#}
{% set files = plan().get('ledger_files', []) %}
{% if files %}
select *
from read_parquet([{% for f in files %}'{{ f | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}])
qualify row_number() over (partition by event_id order by occurred_at) = 1
{% else %}
select
    cast(null as varchar) as event_id,
    cast(null as varchar) as kind,
    cast(null as varchar) as from_id,
    cast(null as varchar) as to_id,
    cast(null as varchar) as reason,
    cast(null as timestamp) as occurred_at,
    cast(null as varchar) as run_id,
    cast(null as varchar) as actor,
    cast(null as bigint) as records,
    cast(null as varchar[]) as record_keys,
    cast(null as varchar) as evidence
limit 0
{% endif %}
