{#- Every person record of every source, and one made up for each person that only an activity names. -#}
{% set mentions = [
    ('orders', 'email', none), ('carts', 'email', 'anonymous_id'), ('opportunities', none, none),
    ('tickets', 'email', none), ('messages', 'email', none), ('conversations', 'email', none),
    ('survey_invitations', 'email', none), ('survey_responses', 'email', none), ('survey_submissions', 'email', none),
    ('reviews', 'email', 'anonymous_id'), ('campaign_events', 'email', none), ('consent_events', 'email', none),
    ('web_events', none, 'anonymous_id'), ('loyalty_events', 'email', none),
    ('referrals', 'email', 'anonymous_id'),
] %}
with recorded as (
    select
        person_record_key as record_key,
        source,
        'person_record' as record_type,
        person_record_id as source_record_id,
        person_id,
        merged_into_id,
        other_record_key,
        email,
        {{ normal_email('email') }} as mailbox,
        other_emails,
        phone,
        first_name,
        last_name,
        full_name,
        birth_date,
        company_name,
        street,
        postal_code,
        city,
        country,
        anonymous_id
    from {{ ref('person_records') }}
),

mentioned as (
    {% for model, email, anonymous_id in mentions %}
    select distinct
        {{ person_reference(email=email, anonymous_id=anonymous_id) }} as record_key,
        source,
        {{ email or 'cast(null as varchar)' }} as email,
        {{ anonymous_id or 'cast(null as varchar)' }} as anonymous_id
    from {{ ref(model) }}
    {{ 'where not coalesce(is_bot, false)' if model == 'web_events' }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

inferred as (
    select
        record_key,
        min(split_part(record_key, ':', 1)) as source,
        'inferred' as record_type,
        min(substr(record_key, strpos(record_key, ':') + 1)) as source_record_id,
        min(email) filter (where record_key like '%:guest:%') as email,
        {{ normal_email("min(email) filter (where record_key like '%:guest:%')") }} as mailbox,
        min(anonymous_id) filter (where record_key like '%:visitor:%') as anonymous_id
    from mentioned
    where
        record_key is not null
        and record_key not in (select record_key from recorded)
    group by record_key
)

select * from recorded
union all by name
select * from inferred
