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
        {{ normal_email('records.email') }} as mailbox,
        coalesce(mailbox, lower(trim(records.email))) as email,
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
    select record_key, source, false as is_stated, mailbox, mailbox as email
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

-- what is true of the whole record is asked once for it, not for each of its values
offered as (
    select
        records.*,
        assignments.customer_id,
        records.mailbox is not null
        and placeholders.email is null
        and not coalesce(mail.bounced_at > coalesce(mail.read_at, '-infinity'), false) as has_valid_email,
        mail.read_at is not null as has_verified_email
    from records
    inner join assignments on records.record_key = assignments.record_key
    left join mail on records.email = mail.email
    left join placeholders on records.email = placeholders.email
),

cells as (
    select
        customer_id,
        record_key,
        source,
        is_stated,
        changed_at,
        unnest([
            {% for name in attributes %}
            struct_pack(
                attribute := '{{ name }}',
                value := {{ name }},
                is_valid := {{ {'phone': 'has_e164', 'email': 'has_valid_email'}.get(name, 'true') }},
                is_verified := {{ 'has_verified_email' if name == 'email' else 'cast(null as boolean)' }}
            ){{ ',' if not loop.last }}
            {% endfor %}
        ]) as cell
    from offered
)

select
    customer_id,
    record_key,
    source,
    is_stated,
    changed_at,
    cell.attribute,
    cell.value,
    cell.is_valid,
    cell.is_verified
from cells
where nullif(trim(cell.value), '') is not null
