{#- The plan of this run: which files of the lake are complete, how their columns map, and `as_of`.
    Written by `cxm` before dbt starts; a file, so that changing it does not make dbt parse again.
    It is read once and kept with the graph, which is what all nodes of an invocation have in common. -#}
{% macro plan() %}
    {% if not execute %}{{ return({}) }}{% endif %}
    {% if 'cxm_plan' not in graph %}
        {% set path = env_var('CXM_PLAN', '../data/plan.json') %}
        {% set text = run_query(read_text_sql(path)).columns[0].values()[0] %}
        {% do graph.update({'cxm_plan': fromjson(text)}) %}
    {% endif %}
    {{ return(graph['cxm_plan']) }}
{% endmacro %}

{% macro read_text_sql(path) %}{{ return(adapter.dispatch('read_text_sql', 'cxm')(path)) }}{% endmacro %}
{% macro duckdb__read_text_sql(path) %}
    {{ return("select content from read_text('" ~ (path | replace("'", "''")) ~ "')") }}
{% endmacro %}

{#- 'Now' for every model: the time as of which the lake is read. -#}
{% macro as_of() %}cast('{{ plan().get("as_of") or "1970-01-01" }}' as timestamp){% endmacro %}

{% macro reporting_currency() %}'{{ plan().get("reporting_currency", "") }}'{% endmacro %}

{#- Day of a UTC timestamp in the company's own zone: what a calendar on its wall shows. -#}
{% macro reporting_date(column) -%}
    cast(timezone('{{ plan().get("reporting_timezone", "UTC") }}', timezone('UTC', {{ column }})) as date)
{%- endmacro %}

{% macro open_lake() %}
    {% if execute %}
        {% for statement in plan().get('lake_setup', []) %}
            {% do run_query(statement) %}
        {% endfor %}
    {% endif %}
{% endmacro %}
