{#- The newest accepted version of every record of a concept.

    A document that is read element by element, or that has failed to meet a condition, counts as a
    whole: what its newest accepted version does not hold is gone, as is all of it once it is deleted. -#}
{% macro current_records(staged, keep='not is_deleted') %}
{% if not execute %}select 1 as placeholder{{ return('') }}{% endif %}
{% set columns = contract(this.identifier).columns.keys() | list %}
{% set concept = contract(this.identifier).config.meta.concept %}
{% set inputs = plan().get('concepts', {}).get(concept, []) | rejectattr('history') | list %}
{% set in_elements, conditional = tables_of(inputs, ['always', 'never']), tables_of(inputs, ['inline']) %}
{% set order = version_order('version_cursor') ~ ', extracted_at desc, load_id desc, origin desc, origin_row desc' %}
with accepted as (
    select * from {{ staged }} where len(rejections) = 0
),

{% if in_elements or conditional %}
failed as (
    select distinct source, source_table, document_key
    from accepted
    where element = -1 and {{ conditional or 'false' }}
),

told_apart as (
    select
        *,
        document_key is not null and (
            {{ in_elements or 'false' }}
            or (source, source_table, document_key) in (select (source, source_table, document_key) from failed)
        ) as counts_as_a_whole
    from accepted
),

versions as (
    select * from told_apart
    where not counts_as_a_whole
    union all
    select * from told_apart
    where counts_as_a_whole
    qualify rank() over (partition by source, source_table, document_key order by {{ order }}) = 1
),
{% else %}
versions as (
    select * from accepted
),
{% endif %}

newest as (
    select * from versions
    where element is distinct from -1
    qualify row_number() over (partition by {{ columns[0] }} order by {{ order }}, element desc) = 1
)

select
    {{ columns | join(',\n    ') }}
from newest
where {{ keep }}
{% endmacro %}

{#- The condition that a staged row comes from one of the tables that are marked in one of these ways. -#}
{% macro tables_of(inputs, markers) %}
    {% set tables = [] %}
    {% for input in inputs if input.markers in markers %}
        {% do tables.append("('" ~ input.source ~ "', '" ~ input.table ~ "')") %}
    {% endfor %}
    {{ return('(source, source_table) in (' ~ tables | unique | join(', ') ~ ')' if tables else '') }}
{% endmacro %}
