{#- accepted + quarantined = received, for every load of every table and the concept it feeds. -#}
{% for model in unified_models() %}
select
    source,
    source_table,
    '{{ model }}' as model,
    load_id,
    max(extracted_at) as extracted_at,
    count(*) as received,
    count(*) filter (where len(rejections) = 0) as accepted,
    count(*) filter (where len(rejections) > 0) as quarantined
from {{ ref('stg_exports__' ~ model) }}
group by source, source_table, load_id
{{ 'union all' if not loop.last }}
{% endfor %}
