{#- Every value that a record offers for a customer's golden record, one row per record and attribute.
    An e-mail address is valid unless it is none, is a placeholder, or mail to it has bounced since it was last
    read; a telephone is where it has an E.164 form. -#}
{% set attributes = [
    'first_name', 'last_name', 'full_name', 'birth_date', 'email', 'phone', 'street', 'postal_code', 'city', 'region',
    'country', 'company_name', 'job_title', 'language', 'acquisition_channel',
] %}
with assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

recorded as (
    select
        records.person_record_key as record_key,
        records.source,
        true as is_stated,
        coalesce(records.updated_at, records.created_at) as changed_at,
        coalesce({{ normal_email('records.email') }}, lower(trim(records.email))) as email,
        coalesce(phones.e164, records.phone) as phone,
        phones.e164 is not null as has_e164,
        records.first_name,
        records.last_name,
        coalesce(records.full_name, nullif(concat_ws(' ', records.first_name, records.last_name), '')) as full_name,
        cast(records.birth_date as varchar) as birth_date,
        records.{{ attributes[6:] | join(', records.') }}
    from {{ ref('person_records') }} as records
    left join {{ ref('int_identity__phones') }} as phones
        on records.phone = phones.phone and records.country is not distinct from phones.country
),

inferred as (
    select record_key, source, false as is_stated, {{ normal_email('email') }} as email
    from {{ ref('int_identity__person_records') }}
    where record_type = 'inferred' and email is not null
),

records as (
    select * from recorded
    union all by name
    select * from inferred
),

mail as (
    select
        coalesce({{ normal_email('events.email') }}, recorded.email) as email,
        max(events.occurred_at) filter (where events.kind = 'bounced') as bounced_at,
        max(events.occurred_at) filter (where events.kind in ('opened', 'clicked', 'responded')) as read_at
    from {{ ref('campaign_events') }} as events
    left join recorded on case when events.email is null then events.person_record_key end = recorded.record_key
    where events.kind in ('bounced', 'opened', 'clicked', 'responded') and not coalesce(events.is_bot, false)
    group by all
),

placeholders as (
    select distinct identifier_value as email
    from {{ ref('int_identity__identifiers') }}
    where identifier_type = 'email' and blocked_by = 'placeholder'
),

cells as (
    {% for name in attributes %}
    select
        record_key,
        source,
        is_stated,
        changed_at,
        '{{ name }}' as attribute,
        {{ name }} as value,
        {{ {'phone': 'has_e164', 'email': normal_email('email') ~ ' is not null'}.get(name, 'true') }} as is_valid
    from records
    where nullif(trim({{ name }}), '') is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    assignments.customer_id,
    cells.record_key,
    cells.source,
    cells.is_stated,
    cells.changed_at,
    cells.attribute,
    cells.value,
    cells.is_valid and not (
        cells.attribute = 'email'
        and (placeholders.email is not null or coalesce(mail.bounced_at > coalesce(mail.read_at, '-infinity'), false))
    ) as is_valid,
    case when cells.attribute = 'email' then mail.read_at is not null end as is_verified
from cells
inner join assignments on cells.record_key = assignments.record_key
left join mail on case cells.attribute when 'email' then cells.value end = mail.email
left join placeholders on case cells.attribute when 'email' then cells.value end = placeholders.email
