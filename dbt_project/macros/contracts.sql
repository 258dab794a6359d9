{#- The columns of the model's contract, each cast to its contracted type: the last select of a mart.
    dbt shows unit tests no graph; they compare the columns they name. -#}
{% macro contract_columns() %}
    {%- set columns = contract(this.identifier).columns if execute and graph.nodes else {} %}
    {%- for name, column in columns.items() %}
    cast({{ name }} as {{ column.data_type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- else -%}*
    {%- endfor %}
{%- endmacro %}
