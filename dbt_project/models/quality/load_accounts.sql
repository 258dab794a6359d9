{#- accepted + quarantined = received, for every load of every table and the concept it feeds. What was
    received is counted in the lake, what became of it in staging: neither can hide from the other. -#}
with received as (
    {% set counted = [] %}
    {% for concept, inputs in plan().get('concepts', {}).items() %}
    {% for input in inputs if input.markers != 'never' %}{% do counted.append(lake_row_counts(concept, input)) %}{% endfor %}
    {% endfor %}
    {% if counted %}
    {{ counted | join('\n    union all\n') }}
    {% else %}
    select
        cast(null as varchar) as source,
        cast(null as varchar) as source_table,
        cast(null as varchar) as model,
        cast(null as varchar) as load_id,
        cast(null as bigint) as received
    limit 0
    {% endif %}
),

staged as (
    {% for model in unified_models() %}
    select
        source,
        source_table,
        '{{ model }}' as model,
        load_id,
        max(extracted_at) as extracted_at,
        count(*) filter (where element is null or element = -1) as documents,
        count(distinct case
            when len(rejections) > 0 then row(document_key, document_hash, origin, origin_row)
        end) as quarantined
    from {{ ref('stg__' ~ model) }}
    group by source, source_table, load_id
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    received.source,
    received.source_table,
    received.model,
    received.load_id,
    staged.extracted_at,
    cast(received.received as bigint) as received,
    coalesce(staged.documents - staged.quarantined, 0) as accepted,
    coalesce(staged.quarantined, 0) as quarantined
from received
left join staged
    on
        received.source = staged.source
        and received.source_table = staged.source_table
        and received.model = staged.model
        and received.load_id = staged.load_id
