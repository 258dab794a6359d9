{#- The newest accepted version of every record, out of all staging models of one concept. -#}
{% macro current_records(staged) %}
{% if not execute %}select 1 as placeholder{{ return('') }}{% endif %}
{% set columns = contract(this.identifier).columns.keys() | list %}
with versions as (
    {% for relation in staged %}
    select * from {{ relation }} where len(rejections) = 0
    {{ 'union all by name' if not loop.last }}
    {% endfor %}
),

newest as (
    select * from versions
    qualify row_number() over (
        partition by {{ columns[0] }}
        order by {{ version_order('version_cursor') }}, extracted_at desc, load_id desc, origin desc, origin_row desc
    ) = 1
)

select
    {{ columns | join(',\n    ') }}
from newest
where not is_deleted
{% endmacro %}
