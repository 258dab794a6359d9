{#- What is kept of each customer today; the hash tells whether anything of it has changed. -#}
{% set columns = history_columns() %}
select
    customer_id,
    {% for name, type in columns.items() %}
    cast({{ name }} as {{ type }}) as {{ name }},
    {% endfor %}
    md5(concat_ws(
        '|',
        {% for name, type in columns.items() %}
        coalesce(cast(cast({{ name }} as {{ type }}) as varchar), '~'){{ ',' if not loop.last }}
        {% endfor %}
    )) as content_hash
from {{ ref('customer_360') }}
