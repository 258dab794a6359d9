{#- The golden record, value by value, with where it comes from: the most recently changed record that
    has a value wins; an address is taken whole from one record, never mixed. -#}
{% set single = [
    'first_name', 'last_name', 'full_name', 'birth_date', 'email', 'phone', 'company_name', 'job_title',
    'language', 'acquisition_channel',
] %}
with records as (
    select
        assignments.customer_id,
        records.* replace (
            {{ normal_email('records.email') }} as email,
            coalesce(phones.e164, records.phone) as phone,
            coalesce(records.full_name, nullif(concat_ws(' ', records.first_name, records.last_name), '')) as full_name
        ),
        coalesce(records.updated_at, records.created_at) as changed_at
    from {{ ref('person_records') }} as records
    inner join {{ ref('int_identity__assignments') }} as assignments
        on records.person_record_key = assignments.record_key
    left join {{ ref('int_identity__phones') }} as phones
        on records.phone = phones.phone and records.country is not distinct from phones.country
),

inferred_emails as (
    select assignments.customer_id, records.record_key, records.source, {{ normal_email('records.email') }} as email
    from {{ ref('int_identity__person_records') }} as records
    inner join {{ ref('int_identity__assignments') }} as assignments on records.record_key = assignments.record_key
    where records.record_type = 'inferred' and records.email is not null
),

candidates as (
    {% for name in single %}
    select
        customer_id, '{{ name }}' as attribute, '{{ name }}' as attribute_group,
        cast({{ name }} as varchar) as value, source, person_record_key as record_key, changed_at, 0 as rank_of_kind
    from records where {{ name }} is not null
    union all
    {% endfor %}
    select customer_id, 'email', 'email', email, source, record_key, null, 1
    from inferred_emails where email is not null
),

ranked as (
    select
        *,
        count(*) over choice as candidates,
        row_number() over (choice order by rank_of_kind, changed_at desc nulls last, record_key) as place,
        lead(value) over (choice order by rank_of_kind, changed_at desc nulls last, record_key) as runner_up
    from candidates
    window choice as (partition by customer_id, attribute)
),

addresses as (
    select *
    from records
    where coalesce(street, postal_code, city, region, country) is not null
    qualify row_number() over (
        partition by customer_id
        order by
            (street is not null)::int + (postal_code is not null)::int + (city is not null)::int desc,
            changed_at desc nulls last, person_record_key
    ) = 1
),

address_parts as (
    {% for name in ['street', 'postal_code', 'city', 'region', 'country'] %}
    select
        customer_id, '{{ name }}' as attribute, 'address' as attribute_group, {{ name }} as value,
        source, person_record_key as record_key, changed_at, 1 as candidates, cast(null as varchar) as runner_up
    from addresses where {{ name }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        customer_id, attribute, attribute_group, value, source, record_key,
        'most recent' as rule, changed_at as since, candidates, runner_up
    from ranked where place = 1
    union all
    select
        customer_id, attribute, attribute_group, value, source, record_key,
        'most complete, then most recent' as rule, changed_at, candidates, runner_up
    from address_parts
)

select {{ contract_columns() }} from final
