{#- Figures of service that do not add up: medians and tails of times, in which those who still wait count
    as waiting, shares of targets met, and the self-service score. Times are counted in whole minutes. -#}
with people as (
    select customer_id, coalesce(region, country) as region, is_test or is_employee as is_internal
    from {{ ref('customer_360') }}
),

tickets as (
    select tickets.*, coalesce(people.region, '(unknown)') as region
    from {{ ref('fct_tickets') }} as tickets
    left join people on tickets.customer_id = people.customer_id
    where not tickets.is_merged and not coalesce(people.is_internal, false)
),

-- how old open tickets are, by both clocks
ages as (
    select
        ticket_key,
        sum(cast(minutes as decimal(18, 4))) as minutes,
        case when count(*) = count(business_minutes) then sum(cast(business_minutes as decimal(18, 4))) end
            as business_minutes
    from {{ ref('fct_ticket_timeline') }}
    where status is distinct from 'closed'
    group by ticket_key
),

first_waits as (
    select
        ticket_key,
        minutes,
        business_minutes,
        outcome = 'replied' as is_over
    from {{ ref('fct_ticket_replies') }}
    where is_first
),

durations as (
    select
        measures.measure,
        tickets.created_on as day,
        tickets.source,
        tickets.region,
        measures.minutes,
        coalesce(measures.is_over, false) as is_over
    from tickets
    left join first_waits on tickets.ticket_key = first_waits.ticket_key
    left join ages on tickets.ticket_key = ages.ticket_key
    cross join
        lateral (
            values
            ('first_reply_hours', first_waits.minutes, first_waits.is_over),
            ('first_reply_business_hours', first_waits.business_minutes, first_waits.is_over),
            (
                'first_resolution_hours', coalesce(tickets.first_resolution_minutes, ages.minutes),
                tickets.first_solved_at is not null
            ),
            (
                'first_resolution_business_hours',
                case
                    when tickets.first_solved_at is not null then tickets.first_resolution_business_minutes
                    else ages.business_minutes
                end,
                tickets.first_solved_at is not null
            ),
            (
                'full_resolution_hours', coalesce(tickets.full_resolution_minutes, ages.minutes),
                tickets.full_resolution_minutes is not null
            ),
            (
                'full_resolution_business_hours',
                case
                    when tickets.full_resolution_minutes is not null then tickets.full_resolution_business_minutes
                    else ages.business_minutes
                end,
                tickets.full_resolution_minutes is not null
            ),
            ('requester_wait_hours', tickets.requester_wait_minutes, tickets.is_finished),
            ('agent_wait_hours', tickets.agent_wait_minutes, tickets.is_finished)
        ) as measures (measure, minutes, is_over)
    union all
    select
        'waiting_time_hours', contacts.started_on, contacts.source, coalesce(people.region, '(unknown)'),
        contacts.wait_minutes, not contacts.is_open
    from {{ ref('fct_service_contacts') }} as contacts
    left join people on contacts.customer_id = people.customer_id
    where not contacts.is_merged and not coalesce(people.is_internal, false)
),

subjects as (
    select
        durations.measure,
        grains.period_grain,
        {{ period_start('grains.period_grain', 'durations.day') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'source' then durations.source when 'region' then durations.region else 'all'
        end as dimension_value,
        cast(round(durations.minutes) as bigint) as whole_minutes,
        durations.is_over
    from durations
    cross join (values ('week'), ('month'), ('all')) as grains (period_grain)
    cross join (values ('all'), ('source'), ('region')) as dimensions (dimension)
    where durations.minutes is not null
),

curves as (
    {{ kaplan_meier(
        'subjects', ['measure', 'period_grain', 'period_start', 'dimension', 'dimension_value'], 'whole_minutes', 'is_over'
    ) }}
),

quantiles as (
    select
        measure,
        period_grain,
        period_start,
        dimension,
        dimension_value,
        max(at_risk) as n,
        {{ survival_quantile(0.5, 'half', at_least=1) }},
        {{ survival_quantile(0.9, 'most', at_least=1) }}
    from curves
    group by all
),

-- how much of its target a promise had used when its clock ended, or has used so far
promises as (
    select
        'sla_attainment_' || slas.metric as kpi_id,
        grains.period_grain,
        {{ period_start('grains.period_grain', 'slas.started_on') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'source' then slas.source when 'region' then coalesce(people.region, '(unknown)') else 'all'
        end as dimension_value,
        -- of those that missed it, by how much does not matter
        case
            when slas.outcome = 'breached' then 2.0
            when slas.target_minutes = 0 then 1.0
            else least(slas.elapsed_minutes / slas.target_minutes, 1.0)
        end as used,
        slas.outcome = 'met' as is_met,
        slas.outcome <> 'running' as is_decided
    from {{ ref('fct_ticket_slas') }} as slas
    inner join tickets on slas.ticket_key = tickets.ticket_key
    left join people on slas.customer_id = people.customer_id
    cross join (values ('day'), ('week'), ('month'), ('all')) as grains (period_grain)
    cross join (values ('all'), ('source'), ('region')) as dimensions (dimension)
    where slas.outcome <> 'unknown'
),

promise_curves as (
    {{ kaplan_meier(
        'promises', ['kpi_id', 'period_grain', 'period_start', 'dimension', 'dimension_value'], 'used', 'is_met'
    ) }}
),

decided as (
    select
        kpi_id,
        period_grain,
        period_start,
        dimension,
        dimension_value,
        count(*) filter (where is_decided) as decided
    from promises
    group by all
),

attainment as (
    select
        promise_curves.kpi_id,
        promise_curves.period_grain,
        promise_curves.period_start,
        promise_curves.dimension,
        promise_curves.dimension_value,
        1 - coalesce(min(promise_curves.survival) filter (where promise_curves.t <= 1), 1) as met,
        any_value(counts.decided) as decided
    from promise_curves
    inner join decided as counts
        on
            promise_curves.kpi_id = counts.kpi_id
            and promise_curves.period_grain = counts.period_grain
            and promise_curves.period_start is not distinct from counts.period_start
            and promise_curves.dimension = counts.dimension
            and promise_curves.dimension_value = counts.dimension_value
    group by all
),

-- who read the help pages, and who asked for help
helped as (
    select session_key as key, started_on as day, source, customer_id, true as is_session
    from {{ ref('fct_help_sessions') }}
    union all
    select coalesce(customer_id, contact_key), started_on, source, customer_id, false
    from {{ ref('fct_service_contacts') }}
    where kind = 'ticket'
),

self_service as (
    select
        grains.period_grain,
        {{ period_start('grains.period_grain', 'helped.day') }} as period_start,
        count(distinct helped.key) filter (where helped.is_session) as sessions,
        count(distinct helped.key) filter (where not helped.is_session) as requesters
    from helped
    left join people on helped.customer_id = people.customer_id
    cross join (values ('week'), ('month'), ('all')) as grains (period_grain)
    where not coalesce(people.is_internal, false)
    group by all
)

select
    measure || '_median' as kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    half / 60.0 as value,
    cast(null as double) as numerator,
    cast(null as double) as denominator,
    cast(n as bigint) as n,
    half_low / 60.0 as ci_low,
    half_high / 60.0 as ci_high
from quantiles
union all
select
    measure || '_p90', period_grain, period_start, dimension, dimension_value, most / 60.0, null, null,
    cast(n as bigint), most_low / 60.0, most_high / 60.0
from quantiles
union all
select
    kpi_id,
    period_grain,
    period_start,
    dimension,
    dimension_value,
    met,
    met * decided,
    cast(decided as double),
    decided,
    {{ wilson('(met * decided)', 'decided', 'low') }},
    {{ wilson('(met * decided)', 'decided', 'high') }}
from attainment
where decided > 0
union all
select
    'self_service_score', period_grain, period_start, 'all', 'all', sessions / requesters, cast(sessions as double),
    cast(requesters as double), requesters, null, null
from self_service
where sessions > 0 and requesters > 0
