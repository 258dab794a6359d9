{#- What has happened to customer ids, as the lake keeps it. -#}
{% set files = plan().get('ledger_files', []) | map('replace', "'", "''") | join("', '") %}
with nothing as (
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
        cast(null as varchar) as evidence,
        cast(null as bigint) as touches
    limit 0
)

select * from nothing
{% if files %}
-- files from before touches were counted do not have them
union all by name
select *
from read_parquet(['{{ files }}'], union_by_name = true)
qualify row_number() over (partition by event_id order by occurred_at) = 1
{% endif %}
