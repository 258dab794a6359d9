{#- Mean stars as they are, and as ten ratings of the mean of all reviews more would make them: one rating of
    five makes no best product. To rank by, the lower bound of the share that is positive. -#}
{% set prior_n = 10 %}
with reviews as (
    select reviews.*
    from {{ ref('fct_reviews') }} as reviews
    left join {{ ref('customer_360') }} as customers on reviews.customer_id = customers.customer_id
    where not coalesce(customers.is_test or customers.is_employee, false)
),

subjects as (
    select 'all' as subject, 'all' as subject_key, stars, is_positive from reviews
    union all
    select 'product', product_key, stars, is_positive from reviews where product_key is not null
    union all
    select 'site', site, stars, is_positive from reviews where site is not null
),

-- stars of any scale as decimals: their sums must not depend on the order of the rows
added as (
    select
        subject,
        subject_key,
        count(*) as n,
        cast(count(*) filter (where is_positive) as double) as positive,
        cast(sum(cast(stars as decimal(18, 6))) as double) as total,
        cast(sum(cast(stars as decimal(18, 6)) * cast(stars as decimal(18, 6))) as double) as squares
    from subjects
    group by subject, subject_key
),

priors as (
    select *, max(total / n) filter (where subject = 'all') over () as prior_mean from added
),

final as (
    select
        *,
        subject || ' ' || subject_key as rating_key,
        {{ prior_n }} as prior_n,
        total / n as raw_rating,
        {{ mean_bound('total', 'squares', 'n', 'low') }} as raw_ci_low,
        {{ mean_bound('total', 'squares', 'n', 'high') }} as raw_ci_high,
        {{ shrunk_mean('total', 'n', 'prior_mean', prior_n) }} as shrunk_rating,
        positive / n as positive_share,
        {{ wilson('positive', 'n', 'low') }} as positive_ci_low,
        {{ wilson('positive', 'n', 'high') }} as positive_ci_high
    from priors
)

select {{ contract_columns() }} from final
