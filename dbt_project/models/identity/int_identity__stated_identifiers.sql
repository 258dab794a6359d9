{#- By what each record could be tied to others, one row per record and identifier, before any guard. -#}
with records as (
    select * from {{ ref('int_identity__person_records') }}
),

phones as (
    select * from {{ ref('int_identity__phones') }}
),

visits as (
    select source || ':' || anonymous_id as visitor, person_record_key, order_key
    from {{ ref('web_events') }}
    where
        anonymous_id is not null
        and not coalesce(is_bot, false)
        and coalesce(person_record_key, order_key) is not null
),

buyers as (
    select order_key, {{ person_reference(email='email') }} as record_key
    from {{ ref('orders') }}
),

given as (
    select record_key, 'record' as identifier_type, record_key as identifier_value from records
    union all
    select record_key, 'record', other_record_key from records where other_record_key is not null
    union all
    select record_key, 'record', source || ':' || merged_into_id
    from records where merged_into_id is not null
    union all
    select record_key, 'source_person_id', source || ':' || person_id
    from records where person_id is not null
    union all
    select record_key, 'visitor', source || ':' || anonymous_id
    from records where anonymous_id is not null
    union all
    -- who was logged in on a device: one person, it is theirs; two, it is shared and ties nobody
    select distinct person_record_key, 'visitor', visitor
    from visits
    where person_record_key is not null
    union all
    -- where nobody ever was: who has ordered there
    select distinct buyers.record_key, 'visitor', visits.visitor
    from visits
    inner join buyers on visits.order_key = buyers.order_key
    where visits.visitor not in (select known.visitor from visits as known where known.person_record_key is not null)
    union all
    select record_key, 'email', mailbox from records
    union all
    -- further mailboxes of the record, as its system lists them: old ones of people who have moved, too
    select record_key, 'email', {{ normal_email('other') }}
    from (
        select record_key, unnest(regexp_extract_all(other_emails, '[^\s;,:<>"'']+@[^\s;,:<>"'']+')) as other
        from records
        where other_emails is not null
    ) as others
    union all
    select records.record_key, 'phone', phones.e164
    from records
    inner join phones
        on records.phone = phones.phone and records.country is not distinct from phones.country
)

select distinct * from given where identifier_value is not null
