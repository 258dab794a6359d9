with final as (
    select
        *,
        {{ reporting_date('started_at') }} as started_on,
        contact_number > 1 as is_repeat,
        contact_number > 1 and (channel is distinct from channel_before) as is_channel_switch
    from {{ ref('int_service__contacts') }}
)

select {{ contract_columns() }} from final
