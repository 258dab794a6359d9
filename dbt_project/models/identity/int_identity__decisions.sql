{#- What people have decided about pairs of records, the last word on each pair; kept in the lake. -#}
{% set files = plan().get('decision_files', []) %}
{% if files %}
select
    decision_id,
    decision,
    least(left_key, right_key) as left_key,
    greatest(left_key, right_key) as right_key,
    decided_at,
    actor,
    reason
from read_parquet([{% for f in files %}'{{ f | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}])
qualify
    row_number() over (
        partition by least(left_key, right_key), greatest(left_key, right_key)
        order by decided_at desc, decision_id desc
    ) = 1
{% else %}
select
    cast(null as varchar) as decision_id,
    cast(null as varchar) as decision,
    cast(null as varchar) as left_key,
    cast(null as varchar) as right_key,
    cast(null as timestamp) as decided_at,
    cast(null as varchar) as actor,
    cast(null as varchar) as reason
limit 0
{% endif %}
