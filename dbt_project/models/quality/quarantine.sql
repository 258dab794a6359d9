{#- Every complaint about a document that was set aside; the document itself is still in the lake. -#}
{% for model in unified_models() %}
select
    source,
    source_table,
    '{{ model }}' as model,
    document_key,
    complaint.column_name,
    complaint.value,
    complaint.reason,
    origin,
    origin_row,
    load_id,
    extracted_at,
    document_hash
from {{ ref('stg_exports__' ~ model) }}, unnest(rejections) as complaints(complaint)
where len(rejections) > 0
{{ 'union all' if not loop.last }}
{% endfor %}
