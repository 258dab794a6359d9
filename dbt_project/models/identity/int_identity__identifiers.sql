{#- What ties records together: one row per record and identifier, with the guard that stopped it. -#}
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
    select record_key, 'email', {{ normal_email('email') }} from records where email is not null
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
),

identifiers as (
    select distinct * from given where identifier_value is not null
),

blocked as (
    select distinct identifiers.identifier_type, identifiers.identifier_value, patterns.reason
    from (
        select distinct identifier_type, identifier_value from identifiers
    ) as identifiers
    inner join {{ ref('identity_blocked_values') }} as patterns
        on
            identifiers.identifier_type = patterns.identifier_type
            and regexp_matches(
                case
                    when identifiers.identifier_type in ('source_person_id', 'record')
                        then lower(substr(identifiers.identifier_value, strpos(identifiers.identifier_value, ':') + 1))
                    else identifiers.identifier_value
                end, patterns.pattern
            )
),

spread as (
    -- a device counts as one record of its own, whether or not it was ever used without logging in
    select
        identifier_type,
        identifier_value,
        count(distinct record_key) filter (
            where identifier_type <> 'visitor' or record_key <> regexp_replace(identifier_value, ':', ':visitor:')
        ) + (identifier_type = 'visitor')::int as records
    from identifiers
    group by identifier_type, identifier_value
)

select
    identifiers.record_key,
    identifiers.identifier_type,
    identifiers.identifier_value,
    types.confidence,
    spread.records as sharing_records,
    cast(100 * types.confidence - 10 * least(9, floor(log2(greatest(spread.records, 1)))) as bigint) as strength,
    coalesce(
        min(blocked.reason),
        case
            when min(spread.records) > min(types.max_records)
                then 'shared by more than ' || min(types.max_records) || ' records'
        end
    ) as blocked_by
from identifiers
inner join {{ ref('identity_identifier_types') }} as types
    on identifiers.identifier_type = types.identifier_type
inner join spread
    on
        identifiers.identifier_type = spread.identifier_type
        and identifiers.identifier_value = spread.identifier_value
left join blocked
    on
        identifiers.identifier_type = blocked.identifier_type
        and identifiers.identifier_value = blocked.identifier_value
        and identifiers.identifier_value <> identifiers.record_key
group by all
