{#- The records that scores are made of: live ones that say more of a person than a mailbox. What is blocked as an
    identifier is no sign of a person here: a placeholder or a telephone of many is none, a mailbox of many a group's. -#}
with blocked as (
    select distinct identifier_type, identifier_value, blocked_by
    from {{ ref('int_identity__identifiers') }}
    where blocked_by is not null and identifier_type in ('email', 'phone')
),

given as (
    select
        records.record_key,
        records.source,
        case when coalesce(mailboxes.blocked_by <> 'placeholder', true) then records.mailbox end as email,
        case
            when mailboxes.blocked_by = 'mailbox of a family' then 'family'
            when mailboxes.blocked_by <> 'placeholder' then 'group'
        end as mailbox_kind,
        case when numbers.blocked_by is null then coalesce(phones.e164, records.phone) end as phone,
        records.first_name,
        records.last_name,
        records.full_name,
        records.birth_date,
        records.street,
        records.postal_code,
        records.city,
        records.country,
        records.company_name
    from {{ ref('int_identity__person_records') }} as records
    left join {{ ref('int_identity__phones') }} as phones
        on records.phone = phones.phone and records.country is not distinct from phones.country
    left join blocked as mailboxes
        on mailboxes.identifier_type = 'email' and records.mailbox = mailboxes.identifier_value
    left join blocked as numbers
        on numbers.identifier_type = 'phone' and phones.e164 = numbers.identifier_value
    where
        records.record_type = 'person_record'
        and records.merged_into_id is null
        and coalesce(
            records.first_name, records.last_name, records.full_name, records.phone, records.street,
            cast(records.birth_date as varchar)
        ) is not null
        -- with identifiers alone nothing is scored
        and (select preset <> 'strict' from {{ ref('int_identity__settings') }})
),

contacts as (
    select
        record_key,
        unnest([email, phone]) as contact,
        lower(trim(full_name)) as full_name,
        lower(trim(last_name)) as last_name
    from given
),

-- a full name that another record of the mailbox or telephone has for its last name has no first name in it
lone_last_names as (
    select distinct contacts.record_key
    from contacts
    inner join contacts as others
        on contacts.contact = others.contact and contacts.full_name = others.last_name
    where contains(contacts.full_name, ' ')
),

records as (
    select
        given.* replace (
            case when lone.record_key is null then given.last_name else coalesce(given.last_name, given.full_name) end
                as last_name
        )
    from given
    left join lone_last_names as lone
        on case when given.first_name is null then given.record_key end = lone.record_key
)

select *, cast(hash(records) as varchar) as content_hash
from records
