{#- Credit by channel and month of each bucket of customers: what resampling draws from. -#}
select
    credits.conversion_kind,
    cast(date_trunc('month', credits.converted_on) as date) as month_start,
    {{ customer_bucket('coalesce(credits.customer_id, credits.conversion_key)') }} as bucket,
    credits.model,
    credits.channel,
    sum(credits.credit) as credit,
    coalesce(sum(credits.revenue_reporting), 0) as revenue_reporting
from {{ ref('fct_attribution_credits') }} as credits
where credits.converted_on <= {{ reporting_date(as_of()) }}
group by all
