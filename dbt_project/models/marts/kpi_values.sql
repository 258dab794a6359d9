with observations as (
    select * from {{ ref('int_kpis__observations') }}
),

added as (
    select
        observations.kpi_id,
        grains.period_grain,
        {{ period_start('grains.period_grain', 'observations.day') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'source' then observations.source when 'region' then observations.region else 'all'
        end as dimension_value,
        sum(observations.total) as total,
        sum(observations.weight) as weight,
        sum(observations.squares) as squares
    from observations
    cross join (values ('day'), ('week'), ('month'), ('all')) as grains (period_grain)
    cross join (values ('all'), ('source'), ('region')) as dimensions (dimension)
    where observations.day is not null or grains.period_grain = 'all'
    group by all
),

observed as (
    select
        added.*,
        kpis.interval,
        cast(added.total as double) as t,
        cast(added.weight as double) as w
    from added
    inner join {{ ref('kpis') }} as kpis on added.kpi_id = kpis.kpi_id
),

figures as (
    select
        kpi_id,
        period_grain,
        period_start,
        dimension,
        dimension_value,
        case
            when interval = 'net score' then 100 * t / w
            when interval is not null then t / w
            else t
        end as value,
        t as numerator,
        case when interval is not null then w end as denominator,
        cast(w as bigint) as n,
        case interval
            when 'wilson' then {{ wilson('t', 'w', 'low') }}
            when 'mean' then {{ mean_bound('t', 'squares', 'w', 'low') }}
            when 'net score' then 100 * {{ net_score_bound('t', 'squares', 'w', 'low') }}
        end as ci_low,
        case interval
            when 'wilson' then {{ wilson('t', 'w', 'high') }}
            when 'mean' then {{ mean_bound('t', 'squares', 'w', 'high') }}
            when 'net score' then 100 * {{ net_score_bound('t', 'squares', 'w', 'high') }}
        end as ci_high
    from observed
    union all by name
    select * from {{ ref('int_kpis__computed') }}
),

final as (
    select
        figures.* exclude (ci_low, ci_high),
        kpis.* exclude (kpi_id, interval),
        -- a model that gives no interval of its shares leaves it to Wilson
        case
            when kpis.interval = 'wilson'
                then coalesce(ci_low, {{ wilson('numerator', 'denominator', 'low') }})
            else ci_low
        end as ci_low,
        case
            when kpis.interval = 'wilson'
                then coalesce(ci_high, {{ wilson('numerator', 'denominator', 'high') }})
            else ci_high
        end as ci_high
    from figures
    inner join {{ ref('kpis') }} as kpis on figures.kpi_id = kpis.kpi_id
)

select {{ contract_columns() }} from final
