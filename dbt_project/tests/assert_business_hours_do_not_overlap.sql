-- Openings of a schedule follow each other, and each begins with the open time of all before it.
with openings as (
    select
        *,
        lag(closes_at) over life as closed_before,
        lag(microseconds_before + date_diff('microsecond', opens_at, closes_at)) over life as open_before
    from {{ ref('int_service__open_hours') }}
    window life as (partition by schedule_key order by opens_at)
)

select schedule_key, opens_at
from openings
where opens_at <= closed_before or closes_at < opens_at or microseconds_before is distinct from coalesce(open_before, 0)
