{#- The person record a row speaks of: the one it names, else one made up from its e-mail or visitor id. -#}
{% macro person_reference(key='person_record_key', email=none, anonymous_id=none) -%}
    coalesce(
        {{ key or 'null' }}
        {%- if email %}, {{ guest_key(email) }}{% endif %}
        {%- if anonymous_id %}, source || ':visitor:' || {{ anonymous_id }}{% endif %}
    )
{%- endmacro %}

{#- Key of the person whom only an e-mail address stands for; a digest, as keys of the registry outlive an erasure. -#}
{% macro guest_key(email, source='source') -%}
    {{ source }} || ':guest:' || md5({{ normal_email(email) }})
{%- endmacro %}

{#- Where mail to an address ends up: case, sub-address (`+shop`) and Gmail's dots do not matter. -#}
{% macro normal_email(column) -%}
    case
        when not regexp_full_match(trim({{ column }}), '[^@\s]+@[^@\s]+\.[^@\s.]+') then null
        when split_part(lower(trim({{ column }})), '@', 2) in ('gmail.com', 'googlemail.com')
            then replace(split_part(split_part(lower(trim({{ column }})), '@', 1), '+', 1), '.', '') || '@gmail.com'
        else split_part(split_part(lower(trim({{ column }})), '@', 1), '+', 1) || '@' || split_part(lower(trim({{ column }})), '@', 2)
    end
{%- endmacro %}

{#- What the build before has compared, as a query; of no rows in the first one. -#}
{% macro compared_before() %}
    {% set known = adapter.get_relation(this.database, this.schema, 'int_identity__compared') if execute %}
    {% if known %}
    select record_key, form_hash, scored_with from {{ known }}
    {% else %}
    select '' as record_key, '' as form_hash, '' as scored_with limit 0
    {% endif %}
{% endmacro %}

{#- The periods of `identity_sensitivity` that a day lies in, one row each and some of them empty. -#}
{% macro sensitivity_periods(day) -%}
    {%- set this_month = "date_trunc('month', " ~ reporting_date(as_of()) ~ ")" -%}
    unnest([
        'all',
        case
            when {{ day }} >= {{ this_month }} - interval 12 month and {{ day }} < {{ this_month }}
                then 'last 12 months'
        end,
        strftime({{ day }}, '%Y-%m')
    ])
{%- endmacro %}
