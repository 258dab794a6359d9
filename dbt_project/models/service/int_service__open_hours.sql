{#- Every opening of a schedule as an interval of UTC, with the open time before it: how long a schedule
    was open between two moments is then a difference of two lookups. A schedule is open when a clock on
    its wall says so: what the clock skips is not open time, what it shows twice counts twice. -#}
with zones as (
    select
        schedules.schedule_key,
        coalesce(names.time_zone, schedules.time_zone) as time_zone
    from {{ ref('schedules') }} as schedules
    left join {{ ref('service_time_zones') }} as names on schedules.time_zone = names.name
    where coalesce(names.time_zone, schedules.time_zone) in (select name from pg_timezone_names())
),

-- a target may fall due in the time to come
bounds as (
    select
        greatest(coalesce(min(created_at), {{ as_of() }}), timestamp '1970-01-03') as first_at,
        {{ as_of() }} + interval 400 day as last_at
    from {{ ref('tickets') }}
    where created_at <= {{ as_of() }}
),

days as (
    select
        unnest(generate_series(
            date_trunc('day', first_at) - interval 2 day, date_trunc('day', last_at), interval 1 day
        )) as midnight
    from bounds
),

-- zones change their offset at a minute of few days: the days are found first
days_of_zones as (
    select
        zones.time_zone,
        days.midnight,
        {{ utc_offset('zones.time_zone', 'days.midnight') }}
        <> {{ utc_offset('zones.time_zone', 'days.midnight + interval 1 day') }} as changes
    from (select distinct time_zone from zones) as zones
    cross join days
),

minutes as (
    select
        time_zone,
        unnest(generate_series(midnight + interval 1 minute, midnight + interval 1 day, interval 1 minute)) as moment
    from days_of_zones
    where changes
),

offset_starts as (
    select time_zone, min(midnight) as starts_at from days_of_zones group by time_zone
    union all
    select time_zone, moment from minutes
    where
        {{ utc_offset('time_zone', 'moment') }}
        <> {{ utc_offset('time_zone', 'moment - interval 1 minute') }}
),

offsets as (
    select
        time_zone,
        starts_at,
        lead(starts_at, 1, (select last_at + interval 2 day from bounds))
            over (partition by time_zone order by starts_at) as ends_at,
        to_seconds({{ utc_offset('time_zone', 'starts_at') }}) as utc_offset
    from offset_starts
),

holidays as (
    select distinct
        schedule_key,
        unnest(generate_series(
            cast(starts_on as timestamp), cast(ends_on as timestamp), interval 1 day
        )) as local_day
    from {{ ref('schedule_holidays') }}
),

-- the hours of each day of the week
hours as (
    select
        intervals.schedule_key,
        weekdays.weekday,
        greatest(intervals.start_minute - weekdays.weekday * 1440, 0) as start_minute,
        least(intervals.end_minute - weekdays.weekday * 1440, 1440) as end_minute
    from {{ ref('schedule_intervals') }} as intervals
    inner join range(7) as weekdays (weekday)
        on intervals.start_minute < (weekdays.weekday + 1) * 1440 and intervals.end_minute > weekdays.weekday * 1440
),

openings as (
    select
        zones.schedule_key,
        greatest(days.midnight + to_minutes(hours.start_minute) - offsets.utc_offset, offsets.starts_at) as opens_at,
        least(days.midnight + to_minutes(hours.end_minute) - offsets.utc_offset, offsets.ends_at) as closes_at
    from zones
    inner join hours on zones.schedule_key = hours.schedule_key
    inner join days on hours.weekday = dayofweek(days.midnight)
    inner join offsets
        on
            zones.time_zone = offsets.time_zone
            and days.midnight + to_minutes(hours.start_minute) - offsets.utc_offset < offsets.ends_at
            and days.midnight + to_minutes(hours.end_minute) - offsets.utc_offset > offsets.starts_at
    left join holidays
        on zones.schedule_key = holidays.schedule_key and days.midnight = holidays.local_day
    where holidays.local_day is null
),

-- intervals of a schedule may overlap, and are open once
beginnings as (
    select
        *,
        coalesce(opens_at > max(closes_at) over (
            partition by schedule_key order by opens_at, closes_at rows between unbounded preceding and 1 preceding
        ), true) as begins
    from openings
),

islands as (
    select
        *,
        count(*) filter (where begins) over (
            partition by schedule_key order by opens_at, closes_at rows unbounded preceding
        ) as island
    from beginnings
),

merged as (
    select schedule_key, min(opens_at) as opens_at, max(closes_at) as closes_at
    from islands
    group by schedule_key, island
)

select
    schedule_key,
    opens_at,
    closes_at,
    cast(coalesce(
        sum(date_diff('microsecond', opens_at, closes_at)) over (
            partition by schedule_key order by opens_at rows between unbounded preceding and 1 preceding
        ),
        0
    ) as bigint) as microseconds_before
from merged
union all
-- a row before all time: a known schedule that was not open yet has been open for no time
select schedule_key, timestamp '1700-01-01', timestamp '1700-01-01', cast(0 as bigint) from zones
