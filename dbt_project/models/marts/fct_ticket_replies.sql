with final as (
    select
        replies.ticket_key || ':' || replies.wait_number as wait_key,
        replies.ticket_key,
        tickets.customer_id,
        tickets.source,
        replies.wait_number,
        replies.is_first,
        replies.waiting_since,
        replies.replied_at,
        replies.ended_at,
        replies.outcome,
        {{ reporting_date('replies.waiting_since') }} as waiting_since_on,
        {{ minutes_so_far('replies.waiting_since', 'replies.ended_at') }}
            as minutes,
        {{ in_minutes('ends.business_microseconds - starts.business_microseconds') }} as business_minutes
    from {{ ref('int_service__replies') }} as replies
    inner join {{ ref('fct_tickets') }} as tickets on replies.ticket_key = tickets.ticket_key
    left join {{ ref('int_service__clock') }} as starts
        on replies.ticket_key = starts.ticket_key and replies.waiting_since = starts.moment
    left join {{ ref('int_service__clock') }} as ends
        on replies.ticket_key = ends.ticket_key and coalesce(replies.ended_at, {{ as_of() }}) = ends.moment
)

select {{ contract_columns() }} from final
