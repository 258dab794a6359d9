-- Each span begins where the one before it ends, and only the last is open.
with spans as (
    select
        *,
        lag(exited_at) over (partition by customer_id order by span_number) as previous_exited_at,
        max(span_number) over (partition by customer_id) as last_number
    from {{ ref('fct_journey_stage_spans') }}
)

select * from spans
where
    (span_number > 1 and previous_exited_at is distinct from entered_at)
    or is_open <> (span_number = last_number)
