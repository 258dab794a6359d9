{#- Every complaint about a document that was set aside; the document itself is still in the lake.
    It is open until a later load brings the row again; a row without a key, its whole file. -#}
{% for model in unified_models() %}
select
    staged.source,
    staged.source_table,
    '{{ model }}' as model,
    staged.document_key,
    complaint.column_name,
    complaint.value,
    complaint.reason,
    staged.origin,
    staged.origin_row,
    nullif(staged.element, -1) as element,
    staged.load_id,
    staged.extracted_at,
    staged.document_hash,
    not exists (
        select 1 from {{ ref('stg__' ~ model) }} as later
        where
            later.source = staged.source
            and later.source_table = staged.source_table
            and later.document_key = staged.document_key
            and later.load_id > staged.load_id
    ) and not (
        staged.document_key is null and exists (
            select 1 from {{ ref('stg__' ~ model) }} as later
            where
                later.source = staged.source
                and later.source_table = staged.source_table
                and later.origin = staged.origin
                and later.load_id > staged.load_id
        )
    ) as is_open
from {{ ref('stg__' ~ model) }} as staged, unnest(staged.rejections) as complaints (complaint)
where len(staged.rejections) > 0
{{ 'union all' if not loop.last }}
{% endfor %}
