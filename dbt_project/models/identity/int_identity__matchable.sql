{#- The records that scores are made of: live ones that say more of a person than a mailbox. -#}
with records as (
    select
        records.record_key,
        records.source,
        {{ normal_email('records.email') }} as email,
        coalesce(phones.e164, records.phone) as phone,
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
    where
        records.record_type = 'person_record'
        and records.merged_into_id is null
        and coalesce(
            records.first_name, records.last_name, records.full_name, records.phone, records.street,
            cast(records.birth_date as varchar)
        ) is not null
        -- with identifiers alone nothing is scored
        and (select preset <> 'strict' from {{ ref('int_identity__settings') }})
)

select *, md5(cast(to_json(records) as varchar)) as content_hash
from records
