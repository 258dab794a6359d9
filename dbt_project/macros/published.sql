{#- Rows of files that were kept at publishing: those before this build, oldest first. The columns
    are named here, for there may be no file yet, or one from before a column was kept. -#}
{% macro kept_at_publishing(kind, columns, only_last=false) %}
    {%- set files = plan().get('published', {}).get(kind, []) %}
    {%- set files = files[-1:] if only_last else files %}
    {%- set none_yet %}
    select {% for name, type in columns.items() %}cast(null as {{ type }}) as {{ name }}{{ ', ' if not loop.last }}{% endfor %} limit 0
    {%- endset %}
    {%- if files -%}
    select {{ columns.keys() | join(', ') }}
    from (
        ({{ none_yet }})
        union all by name
        select *
        from read_parquet(
            [{% for f in files %}'{{ f | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}], union_by_name = true
        )
    )
    {#- a file may hold publications from both sides of this build's own -#}
    {%- if 'version' in columns and plan().get('published_until') %}
    where version < '{{ plan().published_until }}'
    {%- endif %}
    {%- else -%}
    {{ none_yet }}
    {%- endif %}
{% endmacro %}
