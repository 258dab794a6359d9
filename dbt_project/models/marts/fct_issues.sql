{#- What a customer needed help with, over all channels, and whether the first contact was enough. -#}
with contacts as (
    select * from {{ ref('int_service__contacts') }}
),

issues as (
    select
        issue_key,
        any_value(customer_id) as customer_id,
        max(topic) as topic,
        max(source) filter (where contact_number = 1) as source,
        max(channel) filter (where contact_number = 1) as first_channel,
        min(started_at) as started_at,
        max(started_at) as last_contact_at,
        count(*) as contacts,
        count(*) filter (where is_channel_switch) as channel_switches,
        count(distinct source) as systems,
        bool_or(is_open) as is_open,
        min(resolved_at) as first_resolved_at,
        max(resolved_at) filter (where contact_number = 1) as first_contact_resolved_at,
        max(further_message_at) filter (where contact_number = 1) as further_message_at,
        max(reopened_at) filter (where contact_number = 1) as reopened_at,
        coalesce(bool_or(has_undated_reopening) filter (where contact_number = 1), false) as has_undated_reopening,
        min(started_at) filter (where contact_number = 2) as second_contact_at
    from contacts
    group by issue_key
),

recontacts as (
    select
        *,
        coalesce(first_contact_resolved_at, first_resolved_at) as resolved_at,
        least(
            second_contact_at,
            reopened_at,
            -- thanks after the solution are no further request
            case when further_message_at < first_contact_resolved_at then further_message_at end
        ) as recontacted_at
    from issues
),

judged as (
    select
        *,
        case
            when resolved_at is null then null
            when first_contact_resolved_at is null or recontacted_at <= first_contact_resolved_at then false
            -- the solution that is known may be the one after the reopening
            when not has_undated_reopening then true
        end as is_resolved_at_first_contact,
        case
            when not has_undated_reopening
                then {{ minutes_between('first_contact_resolved_at', 'recontacted_at') }} / 1440
        end as days_to_recontact
    from recontacts
),

final as (
    select
        *,
        {{ reporting_date('started_at') }} as started_on,
        {{ reporting_date('resolved_at') }} as resolved_on,
        contacts - 1 as repeat_contacts,
    {% for days in [1, 3, 7, 14, 30] %}
    case
        when resolved_at + interval {{ days }} day <= {{ as_of() }}
            then
                is_resolved_at_first_contact
                and coalesce(recontacted_at > first_contact_resolved_at + interval {{ days }} day, true)
    end as is_resolved_{{ days }}d{{ ',' if not loop.last }}
    {% endfor %}
    from judged
)

select {{ contract_columns() }} from final
