{#- The columns of the model's contract, each cast to its contracted type: the last select of a mart. -#}
{% macro contract_columns() %}
    {%- if not execute or not contract(this.identifier).columns %}*{% else %}
    {%- for name, column in contract(this.identifier).columns.items() %}
    cast({{ name }} as {{ column.data_type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
    {%- endif %}
{%- endmacro %}
