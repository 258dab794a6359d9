{#- Whether marketing by e-mail is allowed, by the most restrictive statement: one 'no' that no later 'yes' of the
    same record took back. The statement that decides is a 'no' if there is one, the oldest of its kind. A statement
    without a time is older than any other, but for an unsubscribe: nothing is known to have taken it back. -#}
with assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

email_consents as (
    select {{ person_reference(email='email') }} as record_key, source, purpose, is_granted, occurred_at
    from {{ ref('consent_events') }}
    where coalesce(channel, 'email') = 'email'
),

unsubscribes as (
    select
        {{ person_reference(email='email') }} as record_key,
        source,
        max(occurred_at) as occurred_at,
        bool_or(occurred_at is null) as is_undated
    from {{ ref('campaign_events') }}
    where kind = 'unsubscribed'
    group by all
),

grants as (
    select record_key, max(occurred_at) as granted_at
    from email_consents
    where is_granted
    group by record_key
),

statements as (
    select person_record_key as record_key, source, email_consent as is_granted, cast(null as timestamp) as occurred_at
    from {{ ref('person_records') }}
    where email_consent is not null
    union all
    -- the last word on each purpose
    select
        record_key,
        source,
        arg_max(is_granted, (coalesce(occurred_at, '-infinity'), not is_granted)) as is_granted,
        max(occurred_at) as occurred_at
    from email_consents
    group by record_key, source, purpose
    union all
    -- an unsubscribe holds until a later yes
    select unsubscribes.record_key, unsubscribes.source, false, unsubscribes.occurred_at
    from unsubscribes
    left join grants on unsubscribes.record_key = grants.record_key
    where unsubscribes.is_undated or coalesce(unsubscribes.occurred_at >= grants.granted_at, true)
),

ranked as (
    select
        assignments.customer_id,
        statements.*,
        count(distinct statements.record_key) over (partition by assignments.customer_id) as candidates,
        min(case when statements.is_granted then statements.source end) over (
            partition by assignments.customer_id
        ) as granting_source
    from statements
    inner join assignments on statements.record_key = assignments.record_key
    qualify row_number() over (
        partition by assignments.customer_id
        order by statements.is_granted, statements.occurred_at nulls last, statements.record_key, statements.source
    ) = 1
)

select
    customer_id,
    is_granted as has_email_consent,
    source,
    record_key,
    occurred_at as since,
    candidates,
    case when not is_granted then granting_source end as overruled_source
from ranked
