{#- Visits in which somebody read the help pages, and whether they asked for help all the same afterwards. -#}
with views as (
    select
        source || ':' || coalesce(session_id, anonymous_id || ':' || strftime(occurred_at, '%Y-%m-%d')) as session_key,
        source,
        {{ person_reference(anonymous_id='anonymous_id') }} as record_key,
        occurred_at
    from {{ ref('web_events') }}
    where
        regexp_matches(lower(url), '^[^?#]*/(help|help-?cent(er|re)|hc|faqs?|support|kb|knowledge(-?base)?)([/?#]|$)')
        and not coalesce(is_bot, false)
        and occurred_at <= {{ as_of() }}
),

visits as (
    select
        session_key,
        any_value(source) as source,
        arg_min(record_key, (occurred_at, record_key)) as record_key,
        count(*) as help_views,
        min(occurred_at) as started_at
    from views
    where session_key is not null
    group by session_key
),

identified as (
    select visits.*, assignments.customer_id
    from visits
    left join {{ ref('int_identity__assignments') }} as assignments on visits.record_key = assignments.record_key
),

contacts as (
    select customer_id, contact_key, started_at
    from {{ ref('int_service__contacts') }}
    where customer_id is not null
),

asked as (
    select identified.*, contacts.contact_key, contacts.started_at as asked_at
    from identified
    asof left join contacts
        on identified.customer_id = contacts.customer_id and identified.started_at <= contacts.started_at
),

final as (
    select
        *,
        {{ reporting_date('started_at') }} as started_on,
    {% for hours in [24, 72] %}
    case
        when started_at + interval {{ hours }} hour <= {{ as_of() }}
            then coalesce(asked_at > started_at + interval {{ hours }} hour, true)
    end as is_contained_{{ hours }}h{{ ',' if not loop.last }}
    {% endfor %}
    from asked
)

select {{ contract_columns() }} from final
