with final as (
    select
        slas.ticket_key || ':' || slas.metric || ':' || slas.instance as sla_key,
        slas.ticket_key,
        tickets.customer_id,
        slas.source,
        slas.metric,
        slas.instance,
        slas.policy_name,
        slas.priority_at_start,
        slas.target_minutes,
        slas.is_business_time,
        slas.is_told_by_source,
        slas.started_at,
        {{ reporting_date('slas.started_at') }} as started_on,
        slas.ended_at,
        slas.elapsed_minutes,
        slas.outcome,
        case slas.outcome when 'met' then false when 'breached' then true end as is_breached,
        slas.due_at
    from {{ ref('int_service__slas') }} as slas
    inner join {{ ref('fct_tickets') }} as tickets on slas.ticket_key = tickets.ticket_key
)

select {{ contract_columns() }} from final
