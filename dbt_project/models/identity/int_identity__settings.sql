{#- How records are told to be one customer in this company, and the matching model that the lake keeps. -#}
{% set identity = plan().get('identity', {}) %}
{% set model = plan().get('match_model') %}
select
    '{{ identity.get("preset", "default") }}' as preset,
    cast({{ identity.get("max_records", 500) }} as integer) as max_records,
    {% if model %}
    (select content from read_text('{{ model | replace("'", "''") }}')) as known_model
    {% else %}
    cast(null as varchar) as known_model
    {% endif %}
