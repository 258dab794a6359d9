{#- How tables come into being: each is replaced in one step of its model's own transaction. dbt's own way makes
    another, renames both and drops one, which for a small table is most of the work. -#}
{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set target = this.incorporate(type='table') -%}
    {{ make_way_for_table(load_cached_relation(this)) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if model.language == 'sql' -%}
        {%- call statement('main') -%}{{ replace_table_sql(target, compiled_code) }}{%- endcall -%}
    {%- else -%}
        {#- Python writes over a connection of its own, and may read what it replaces -#}
        {%- set draft = make_intermediate_relation(target) -%}
        {{ drop_relation_if_exists(load_cached_relation(draft)) }}
        {%- call statement('main', language='python') -%}
            {{- create_table_as(False, draft, compiled_code, 'python') -}}
        {%- endcall -%}
        {%- call statement('swap') -%}
            drop table if exists {{ target }};
            alter table {{ draft }} rename to {{ adapter.quote(target.identifier) }}
        {%- endcall -%}
    {%- endif -%}
    {% do persist_docs(target, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#- Staged documents are only ever added to. Whatever could change their columns is part of the fingerprint that asks
    for a full refresh, so rows go straight into their table. -#}
{% materialization incremental, adapter='duckdb', supported_languages=['sql'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='table') -%}
    {{ make_way_for_table(existing) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {%- if is_incremental() -%}
            insert into {{ target }} by name ({{ compiled_code }})
        {%- else -%}
            {{ replace_table_sql(target, compiled_code) }}
        {%- endif -%}
    {%- endcall -%}
    {% do persist_docs(target, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#- `create or replace table` replaces no view. -#}
{% macro make_way_for_table(existing) %}
    {%- if existing is not none and not existing.is_table -%}{{ adapter.drop_relation(existing) }}{%- endif -%}
{% endmacro %}

{% macro replace_table_sql(relation, sql) %}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(sql) }}
        create or replace table {{ relation }} {{ get_table_columns_and_constraints() }};
        insert into {{ relation }} {{ get_column_names() }} ({{ get_select_subquery(sql) }})
    {%- else -%}
        create or replace table {{ relation }} as ({{ sql }})
    {%- endif -%}
{% endmacro %}

{#- All comments of a table at once. What is described is there, or the build fails. -#}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) %}
    {%- if config.persist_relation_docs() or config.persist_column_docs() -%}
    {%- call statement('comments') -%}
        {%- if for_relation and config.persist_relation_docs() and model.description -%}
            {{ alter_relation_comment(relation, model.description) }}
        {%- endif -%}
        {%- if for_columns and config.persist_column_docs() -%}
            {%- for name, column in model.columns.items() -%}
                comment on column {{ relation }}.{{ name }} is {{ duckdb_escape_comment(column.description) }};
            {%- endfor -%}
        {%- endif -%}
    {%- endcall -%}
    {%- endif -%}
{% endmacro %}
