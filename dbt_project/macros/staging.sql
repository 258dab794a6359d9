{#- Everything that staging does, once: read the complete loads that are new, give every field its
    type in one pass over the document, and say of each document that does not fit why not.

    A row is what a document, or one element of a list in it (`element` from 0), says of a concept. A
    row that only counts a document, because nothing in it speaks of the concept, has element -1. -#}

{% macro stage_concept(concept, model) %}
    {% if not execute %}select 1 as placeholder{{ return('') }}{% endif %}
    {{ stage_documents(model, plan().concepts.get(concept, [])) }}
{% endmacro %}

{#- `inputs`: one dict per record of a table of the lake, as ingestion/exports/plan.py makes them:
    where it comes from, how it is taken out of a document (levels, columns, where, markers), the
    fields of the concept (sql, reference_source, numbers), and the loads (id, files). -#}
{% macro stage_documents(model, inputs) %}
    {% set node = contract(model) %}
    {% set known = loads_in(this) if is_incremental() else [] %}
    {% set branches = [] %}
    {% for input in inputs %}
        {% set files = [] %}
        {% for load in input.loads if input.source ~ '/' ~ input.table ~ '/' ~ load.load_id not in known %}
            {% do files.extend(load.files) %}
        {% endfor %}
        {% if files %}{% do branches.append(typed_documents(node, input, files)) %}{% endif %}
    {% endfor %}
    {% if branches %}
        {{ branches | join('\nunion all by name\n') }}
    {% else %}
        {{ no_documents(node) }}
    {% endif %}
{% endmacro %}

{% macro loads_in(relation) %}
    {% set rows = run_query(
        "select distinct source || '/' || source_table || '/' || load_id from " ~ relation
    ) %}
    {{ return(rows.columns[0].values() | list) }}
{% endmacro %}

{% macro no_documents(node) %}
select
    {% for name, column in node.columns.items() %}
    cast(null as {{ column.data_type }}) as {{ name }},
    {% endfor %}
    cast(null as varchar) as source_table,
    cast(null as varchar) as document_key,
    cast(null as varchar) as version_cursor,
    cast(null as boolean) as is_deleted,
    cast(null as varchar) as load_id,
    cast(null as varchar) as origin,
    cast(null as bigint) as origin_row,
    cast(null as bigint) as element,
    cast(null as varchar) as document_hash,
    cast(null as struct(column_name varchar, value varchar, reason varchar)[]) as rejections
limit 0
{% endmacro %}

{% macro typed_documents(node, input, files) %}
{% set fields = input.fields %}
{% set key = [] %}
{% for part in node.config.meta.key %}
    {% for name, column in node.columns.items() if part in (name, column_meta(column).get('input')) %}
    {% do key.append(name) %}
    {% endfor %}
{% endfor %}
(
    with documents as (
        select
            * exclude (document, _extracted_at),
            timezone('UTC', _extracted_at) as extracted_at,
            md5(document) as document_hash,
            contains(document, '\u0000') as has_nul,
            {% if input.timestamp_format %}
            coalesce(strftime(try_strptime(_cursor, {{ input.timestamp_format }}), '%Y-%m-%d %H:%M:%S.%f'), _cursor) as sortable_cursor,
            {% else %}
            _cursor as sortable_cursor,
            {% endif %}
            {{ elements_of(input, 1) }}
            {% if input.document_shape %}
            json_transform(document, {{ input.document_shape }}) as record_0,
            {% endif %}
        from read_parquet([{% for f in files %}'{{ f | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}])
    ),

    {% for level in input.levels %}
    {% set n = loop.index %}
    unnested_{{ n }} as (
        select
            * exclude (elements_{{ n }}{{ ', keys_' ~ n if level['keys'] }}),
            unnest(elements_{{ n }}) as element_{{ n }},
            {% if level['keys'] %}
            unnest(keys_{{ n }}) as key_{{ n }},
            {% endif %}
            {#- one position more than there are elements: that row counts the document #}
            {% if input.markers == 'never' %}
            unnest(range(len(elements_{{ n }}))) as index_{{ n }}
            {% elif n == 1 %}
            unnest(list_append(range(len(elements_1)), -1)) as index_1
            {% else %}
            unnest(case when index_{{ n - 1 }} = -1 then [-1] else range(len(elements_{{ n }})) end) as index_{{ n }}
            {% endif %}
        from {{ 'documents' if n == 1 else 'elements_' ~ (n - 1) }}
    ),

    elements_{{ n }} as (
        select
            *,
            {{ elements_of(input, n + 1) }}
            {% if level.shape %}
            json_transform(element_{{ n }}, {{ level.shape }}) as record_{{ n }},
            {% endif %}
        from unnested_{{ n }}
    ),
    {% endfor %}

    texts as (
        select
            _key,
            _deleted,
            _origin,
            _row,
            _problem,
            _dlt_load_id,
            extracted_at,
            document_hash,
            has_nul,
            sortable_cursor,
            {% for column, value in input.columns.items() %}
            nullif(trim({{ value }}), '') as "raw.{{ column | replace('"', '""') }}",
            {% endfor %}
            {% set depth = input.levels | length %}
            {% if depth %}
            md5(element_{{ depth }}) as element_hash,
            index_{{ depth }} as record_element
            {% elif input.markers == 'always' %}
            unnest(case when _problem is null then [-1, 0] else [-1] end) as record_element
            {% elif input.markers == 'never' %}
            0 as record_element
            {% else %}
            cast(null as bigint) as record_element
            {% endif %}
        from {{ 'elements_' ~ depth if depth else 'documents' }}
        {% if input.markers == 'never' %}
        where _problem is null
        {% endif %}
    ),

    {#- a document that is gone may hold no more than its key, so it meets no condition #}
    wanted as (
        {% set wanted = 'coalesce(' ~ input.where ~ ', false)' ~ ('' if depth else ' or _deleted') if input.where else 'true' %}
        {% if input.markers == 'inline' %}
        select
            * exclude (record_element),
            case when {{ wanted }} then record_element else -1 end as element
        from texts
        {% else %}
        select * rename (record_element as element)
        from texts
        where record_element = -1 or record_element is null or ({{ wanted }})
        {% endif %}
    ),

    mapped as (
        select
            *,
            {% for name, column in node.columns.items() if column_meta(column).get('derived') is none %}
            {% set field = fields.get(column_meta(column).get('input', name)) %}
            {% if field and column_meta(column).get('default') == 'currency' and input.currency %}
            coalesce(nullif(cast({{ field.sql }} as varchar), ''), '{{ input.currency }}') as "text.{{ name }}",
            {% elif field %}
            nullif(cast({{ field.sql }} as varchar), '') as "text.{{ name }}",
            {% elif column_meta(column).get('default') == 'currency' and input.currency %}
            '{{ input.currency }}' as "text.{{ name }}",
            {% else %}
            cast(null as varchar) as "text.{{ name }}",
            {% endif %}
            {% endfor %}
        from wanted
    ),

    typed as (
        select
            *,
            {% for name, column in node.columns.items() %}
            {% set meta = column_meta(column) %}
            {% if meta.get('derived') == 'key' %}
            {% set parts = [] %}
            {% for part in key %}{% do parts.append('"text.' ~ part ~ '"') %}{% endfor %}
            case
                when {{ parts[0] }} is not null and element is distinct from -1
                    then '{{ input.source }}:' || concat_ws('|', {{ parts | join(', ') }})
            end as {{ name }},
            {% elif meta.get('derived') == 'source' %}
            '{{ input.source }}' as {{ name }},
            {% elif meta.get('derived') == 'timezone' %}
            '{{ input.timezone }}' as {{ name }},
            {% elif meta.get('derived') == 'extracted_at' %}
            {% elif meta.get('reference') %}
            {% set of = (fields.get(meta.get('input')) or {}).get('reference_source') or input.source %}
            '{{ of }}:' || "text.{{ name }}" as {{ name }},
            {% else %}
            {{ typed_value('"text.' ~ name ~ '"', column.data_type, meta, input) }} as {{ name }},
            {% endif %}
            {% endfor %}
        from mapped
    ),

    checked as (
        select
            *,
            list_filter([
                case when _problem is not null
                    then {{ rejection(none, none, '_problem') }} end,
                {% for name, column in node.columns.items() %}
                {% set meta = column_meta(column) %}
                {% set shown = meta.get('input', name) %}
                {% set text = '"text.' ~ name ~ '"' %}
                {% if meta.get('derived') is none %}
                {% for number in (fields.get(shown) or {}).get('numbers', []) %}
                {% set plain = '"raw.' ~ (number | replace('"', '""')) ~ '"' %}
                case when {{ plain }} is not null and try_cast({{ point_number(plain, input) }} as decimal(18, 4)) is null
                    then {{ rejection(shown, plain, "'is not a number'") }} end,
                {% endfor %}
                {% if is_required(column) %}
                case when _problem is null and not _deleted and {{ text }} is null
                    then {{ rejection(shown, none, "'is missing'") }} end,
                {% endif %}
                {% if not meta.get('reference') %}
                case when {{ text }} is not null and {{ name }} is null
                    then {{ rejection(shown, text, "'" ~ type_complaint(column.data_type, meta) ~ "'") }} end,
                {% if column.data_type == 'varchar' %}
                case when has_nul and contains({{ text }}, chr(0))
                    then {{ rejection(shown, "replace(" ~ text ~ ", chr(0), '␀')", "'contains a NUL byte'") }} end,
                {% endif %}
                {% if meta.get('minimum') is not none %}
                case when {{ name }} < {{ meta.minimum }}
                    then {{ rejection(shown, text, "'is below " ~ meta.minimum ~ "'") }} end,
                {% endif %}
                {% endif %}
                {% endif %}
                {% endfor %}
                {% for rule in node.config.meta.get('row_rules', []) %}
                case when not ({{ rule.sql }})
                    then {{ rejection(rule.column, '"text.' ~ rule.column ~ '"', "'" ~ rule.reason ~ "'") }} end,
                {% endfor %}
                cast(null as struct(column_name varchar, value varchar, reason varchar))
            ], r -> r is not null) as complaints
        from typed
    )
    {% set own_key = node.columns.keys() | list | first %}
    {% set hash = 'element_hash' if depth else 'document_hash' %}
    {#- Rows of a file that share a key are a mistake, as are such elements of a document; the newest
        counts and the others are set aside. Documents of an API that share a key are versions. #}
    {% set together = '_origin' if input.is_file else '_key, document_hash' %}
    {% set complaints = 'complaints' %}
    {% if input.markers in ('inline', 'always') %}
    {% set complaints = 'list_filter(complaints, c -> element is distinct from -1 or c.reason = _problem)' %}
    {% endif %}

    select
        {% for name in node.columns %}{{ name }}, {% endfor %}
        '{{ input.table }}' as source_table,
        _key as document_key,
        sortable_cursor as version_cursor,
        _deleted as is_deleted,
        _dlt_load_id as load_id,
        _origin as origin,
        _row as origin_row,
        cast(element as bigint) as element,
        document_hash,
        {% if input.distinct or not (input.is_file or depth) %}
        {{ complaints }} as rejections
        {% else %}
        case
            when {{ own_key }} is not null and len(complaints) = 0 and {{ hash }} <> first_value({{ hash }}) over (
                partition by _dlt_load_id, {{ together }}, len(complaints) = 0, {{ own_key }}
                order by {{ version_order('sortable_cursor') }}, _row desc, element desc
            )
                then [{{ rejection(key[0], own_key, "'another " ~ ('element of the document' if depth else 'row of the file') ~ " has the same key'") }}]
            else {{ complaints }}
        end as rejections
        {% endif %}
    from checked
)
{% endmacro %}

{#- The elements of a level as columns of the level before it. -#}
{% macro elements_of(input, n) %}
    {%- if n <= input.levels | length %}
    {%- set level = input.levels[n - 1] %}
    {%- set absent = '_deleted or _problem is not null' %}
            case when {{ absent }} then [] else {{ level.elements }} end as elements_{{ n }},
    {%- if level['keys'] %}
            case when {{ absent }} then [] else {{ level['keys'] }} end as keys_{{ n }},
    {%- endif %}
    {%- endif %}
{%- endmacro %}

{% macro rejection(column_name, value, reason) -%}
    struct_pack(column_name := {{ "'" ~ column_name ~ "'" if column_name else 'cast(null as varchar)' }}, value := {{ 'left(cast(' ~ value ~ ' as varchar), 200)' if value else 'cast(null as varchar)' }}, reason := {{ reason }})
{%- endmacro %}

{#- Newest version first: by the source's own cursor, a time, a number or a text. -#}
{% macro version_order(cursor) -%}
    try_cast({{ cursor }} as timestamptz) desc nulls last, try_cast({{ cursor }} as double) desc nulls last, {{ cursor }} desc nulls last
{%- endmacro %}

{% macro typed_value(text, data_type, meta, input) -%}
    {%- if meta.get('accepted') -%}
        case when lower({{ text }}) in ('{{ meta.accepted | join("', '") }}') then lower({{ text }}) end
    {%- elif meta.get('pattern') -%}
        case when regexp_full_match(upper({{ text }}), '{{ meta.pattern }}') then upper({{ text }}) end
    {%- elif data_type == 'varchar' -%}
        {{ text }}
    {%- elif data_type == 'timestamp' -%}
        {{ plausible_time(utc_timestamp(text, input.timezone, input.get('timestamp_format'))) }}
    {%- elif data_type == 'date' -%}
        {%- if input.get('timestamp_format') -%}
        {{ plausible_time('cast(try_strptime(' ~ text ~ ', ' ~ input.timestamp_format ~ ') as date)') }}
        {%- else -%}
        {{ plausible_time('coalesce(try_cast(' ~ text ~ ' as date), cast(try_cast(' ~ text ~ ' as timestamp) as date))') }}
        {%- endif -%}
    {%- elif data_type == 'boolean' -%}
        case
            when lower({{ text }}) in ('true', 't', 'yes', 'y', '1') then true
            when lower({{ text }}) in ('false', 'f', 'no', 'n', '0') then false
        end
    {%- else -%}
        {%- set number = point_number(text, input) -%}
        {%- if data_type == 'bigint' -%}
        case
            when try_cast({{ number }} as double) = round(try_cast({{ number }} as double))
                then try_cast({{ number }} as bigint)
        end
        {%- elif data_type == 'double' -%}
        case when isfinite(try_cast({{ number }} as double)) then try_cast({{ number }} as double) end
        {%- else -%}
        try_cast({{ number }} as {{ data_type }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- DuckDB reads `infinity` and the year 20181 as times; nobody means them. -#}
{% macro plausible_time(time) -%}
    list_filter([{{ time }}], t -> isfinite(t) and t between date '1800-01-01' and date '2200-01-01')[1]
{%- endmacro %}

{#- A number as DuckDB reads it, out of a file that may write 1.234,50. -#}
{% macro point_number(text, input) -%}
    {{ "replace(replace(" ~ text ~ ", '.', ''), ',', '.')" if input.get('decimal_comma') else text }}
{%- endmacro %}

{#- UTC without zone: a text that names its zone is believed, any other is the source's local time. -#}
{% macro utc_timestamp(text, zone, format) -%}
    {%- if format -%}
    timezone('UTC', timezone('{{ zone }}', try_strptime({{ text }}, {{ format }})))
    {%- else -%}
    case
        when regexp_matches({{ text }}, ':\d{2}(\.\d+)?\s*([zZ]|UTC|GMT|[+-]\d{2}(:?\d{2})?)$')
            then timezone('UTC', try_cast(regexp_replace({{ text }}, '\s+([+-]\d{2})', '\1') as timestamptz))
        else timezone('UTC', timezone('{{ zone }}', try_cast({{ text }} as timestamp)))
    end
    {%- endif -%}
{%- endmacro %}

{% macro type_complaint(data_type, meta) %}
    {% if meta.get('accepted') %}{{ return('is not one of ' ~ meta.accepted | join(', ')) }}{% endif %}
    {% if meta.get('pattern') %}{{ return('does not look like ' ~ meta.pattern) }}{% endif %}
    {{ return({
        'timestamp': 'is not a date and time', 'date': 'is not a date', 'boolean': 'is neither yes nor no',
        'bigint': 'is not a whole number',
    }.get(data_type, 'is not a number')) }}
{% endmacro %}

{#- Rows of each load of a table, from the footers of its files: independent of what staging made of them. -#}
{% macro lake_row_counts(concept, input) %}
    {%- set files = [] %}
    {%- for load in input.loads %}{% do files.extend(load.files) %}{% endfor %}
    {%- set fed = namespace(model=none) %}
    {%- for name in unified_models() if contract(name).config.meta.concept == concept %}{% set fed.model = name %}{% endfor %}
    select
        '{{ input.source }}' as source,
        '{{ input.table }}' as source_table,
        '{{ fed.model }}' as model,
        regexp_extract(file_name, '([0-9]+\.[0-9]+)\.[^/]*$', 1) as load_id,
        sum(num_rows) as received
    from parquet_file_metadata([{% for f in files %}'{{ f | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}])
    group by load_id
{%- endmacro %}
