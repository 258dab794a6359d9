{#- KPIs of what people say that do not add up over days: one voice per person and period, weights, rates whose
    denominator is estimated, shrunk means. Internal people are left out, but of eNPS. -#}
with voices as (
    select
        case
            when kind = 'enps' then 'enps'
            when relation = 'relationship' then 'nps_relationship'
            when relation = 'transactional' then 'nps_transactional'
        end as kpi_id,
        voices.period_grain,
        voices.period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'source' then voices.source when 'region' then coalesce(voices.region, '(unknown)') else 'all'
        end as dimension_value,
        voices.answer_value
    from {{ ref('int_survey__voices') }} as voices
    cross join (values ('all'), ('source'), ('region')) as dimensions (dimension)
    where
        voices.period_grain in ('month', 'all')
        and (
            (voices.kind = 'nps' and not voices.is_internal and voices.relation in ('relationship', 'transactional'))
            {#- of employees only whole months are told: small groups and months could be worked out from more #}
            or (voices.kind = 'enps' and dimensions.dimension = 'all' and voices.period_grain = 'month')
        )
),

net_scores as (
    select
        kpi_id,
        period_grain,
        period_start,
        dimension,
        dimension_value,
        cast(sum(answer_value) as double) as total,
        cast(sum(answer_value * answer_value) as double) as squares,
        count(*) as n
    from voices
    group by all
    having count(*) >= case when kpi_id = 'enps' then {{ minimum_group_size() }} else 1 end
),

invitations as (
    select
        rates.period_grain,
        rates.period_start,
        dimensions.dimension,
        case dimensions.dimension
            when 'source' then rates.source when 'kind' then coalesce(rates.kind, 'other') else 'all'
        end as dimension_value,
        sum(rates.invited) as invited,
    {% for outcome in ['complete', 'partial', 'refused', 'no_answer', 'unknown', 'ineligible'] %}
    cast(sum(rates.{{ outcome }}) as double) as {{ outcome }}{{ ',' if not loop.last }}
    {% endfor %}
    from {{ ref('survey_response_rates') }} as rates
    cross join (values ('all'), ('source'), ('kind')) as dimensions (dimension)
    group by all
),

eligible as (
    select
        *,
        (invited - unknown) / nullif(invited - unknown + ineligible, 0) as eligible_share
    from invitations
),

rates as (
    {% for number in range(1, 7) %}
    select
        'response_rate_{{ number }}' as kpi_id, period_grain, period_start, dimension, dimension_value,
        {{ response_rate(number, 'numerator') }} as total,
        {{ response_rate(number, 'denominator') }} as n
    from eligible
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

reviews as (
    select reviews.stars, reviews.reviewed_on, reviews.source
    from {{ ref('fct_reviews') }} as reviews
    left join {{ ref('customer_360') }} as customers on reviews.customer_id = customers.customer_id
    where not coalesce(customers.is_test or customers.is_employee, false)
),

stars as (
    select
        grains.period_grain,
        {{ period_start('grains.period_grain', 'reviews.reviewed_on') }} as period_start,
        dimensions.dimension,
        case dimensions.dimension when 'source' then reviews.source else 'all' end as dimension_value,
        cast(sum(cast(reviews.stars as decimal(18, 6))) as double) as total,
        cast(sum(cast(reviews.stars as decimal(18, 6)) * cast(reviews.stars as decimal(18, 6))) as double) as squares,
        count(*) as n
    from reviews
    cross join (values ('month'), ('all')) as grains (period_grain)
    cross join (values ('all'), ('source')) as dimensions (dimension)
    group by all
),

priors as (
    select prior_mean, prior_n from {{ ref('review_ratings') }} where subject = 'all'
),

shrunk as (
    select
        stars.*,
        {{ shrunk_mean('stars.total', 'stars.n', 'priors.prior_mean', 'priors.prior_n') }} as value,
        stars.n * {{ mean_bound('stars.total', 'stars.squares', 'stars.n', 'low') }} as total_low,
        stars.n * {{ mean_bound('stars.total', 'stars.squares', 'stars.n', 'high') }} as total_high,
        priors.prior_mean,
        priors.prior_n
    from stars
    cross join priors
),

efforts as (
    select
        dimensions.dimension,
        case dimensions.dimension
            when 'region' then coalesce(customers.region, customers.country, '(unknown)') else 'all'
        end as dimension_value,
        cast(sum(cast(effort.effort_index as decimal(18, 6))) as double) as total,
        cast(sum(
            cast(effort.effort_index as decimal(18, 6)) * cast(effort.effort_index as decimal(18, 6))
        ) as double) as squares,
        cast(count(*) as double) as n
    from {{ ref('customer_effort') }} as effort
    inner join {{ ref('customer_360') }} as customers on effort.customer_id = customers.customer_id
    cross join (values ('all'), ('region')) as dimensions (dimension)
    where effort.was_served and not customers.is_test and not customers.is_employee
    group by all
),

figures as (
    select
        kpi_id, period_grain, period_start, dimension, dimension_value,
        100 * total / n as value, total as numerator, n as denominator, n,
        100 * {{ net_score_bound('total', 'squares', 'n', 'low') }} as ci_low,
        100 * {{ net_score_bound('total', 'squares', 'n', 'high') }} as ci_high
    from net_scores
    union all
    select
        'nps_weighted', period_grain, period_start, 'all', 'all',
        weighted_score, null, effective_n, n,
        greatest(weighted_score - weighted_margin, -100), least(weighted_score + weighted_margin, 100)
    from {{ ref('survey_scores_weighted') }}
    where kind = 'nps' and relation = 'relationship' and period_grain in ('month', 'all')
    union all
    select
        kpi_id, period_grain, period_start, dimension, dimension_value,
        total / n, total, n, round(n),
        {{ wilson('total', 'n', 'low') }}, {{ wilson('total', 'n', 'high') }}
    from rates where n > 0
    union all
    select
        'review_rating_shrunk', period_grain, period_start, dimension, dimension_value,
        value, prior_n * prior_mean + total, prior_n + n, n,
        {{ shrunk_mean('total_low', 'n', 'prior_mean', 'prior_n') }},
        {{ shrunk_mean('total_high', 'n', 'prior_mean', 'prior_n') }}
    from shrunk
    union all
    select
        'effort_index', 'all', null, dimension, dimension_value,
        total / n, total, n as denominator, n,
        {{ mean_bound('total', 'squares', 'n', 'low') }}, {{ mean_bound('total', 'squares', 'n', 'high') }}
    from efforts
)

select
    kpi_id,
    period_grain,
    cast(period_start as date) as period_start,
    dimension,
    dimension_value,
    cast(value as double) as value,
    cast(numerator as double) as numerator,
    cast(denominator as double) as denominator,
    cast(n as bigint) as n,
    cast(ci_low as double) as ci_low,
    cast(ci_high as double) as ci_high
from figures
