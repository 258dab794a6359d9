{{ config(tags=['macro_vectors']) }}
-- A text that names its zone is believed, any other is local time of the source; nonsense is nothing.
with spellings as (
    select '2024-01-01 10:00:00' as written, timestamp '2024-01-01 13:00:00' as meant
    union all
    select '2024-01-01', timestamp '2024-01-01 03:00:00'
    union all
    select '2024-01-01T10:00:00Z', timestamp '2024-01-01 10:00:00'
    union all
    select '2024-01-01 10:00:00 UTC', timestamp '2024-01-01 10:00:00'
    union all
    select '2024-01-01 10:00:00 +0100', timestamp '2024-01-01 09:00:00'
    union all
    select '2024-01-01T10:00:00.5+01:00', timestamp '2024-01-01 09:00:00.5'
    union all
    select '2018-11-04 00:30:00', timestamp '2018-11-04 03:30:00' -- an hour that summer time skips
    union all
    select 'infinity', null
    union all
    select '20181-05-01', null
    union all
    select 'yesterday', null
),

readings as (
    select
        written,
        meant,
        {{ plausible_time(utc_timestamp('written', 'America/Sao_Paulo', none)) }} as read
    from spellings
)

select *
from readings
where read is distinct from meant
