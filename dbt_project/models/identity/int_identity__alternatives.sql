{{ config(materialized='view') }}
{#- Who each record would be under identities stricter and looser than the one in use. -#}
{% for identity, model, key in [
    ('strict', 'int_identity__strict_clusters', 'cluster_key'), ('default', 'int_identity__assignments', 'customer_id'),
    ('loose', 'int_identity__loose_clusters', 'cluster_key'),
] %}
select '{{ identity }}' as identity, record_key, {{ key }} as person
from {{ ref(model) }}
{{ 'union all' if not loop.last }}
{% endfor %}
