{#- What is not known is empty, with the reason: a cost that nobody told is not a cost of nothing. -#}
with months as (
    select * from {{ ref('int_commerce__months') }} where has_ended
),

paid_customers as (
    select distinct assignments.customer_id
    from {{ ref('person_records') }} as records
    inner join {{ ref('int_identity__assignments') }} as assignments
        on records.person_record_key = assignments.record_key
    inner join {{ ref('int_marketing__arrivals') }} as arrivals
        on {{ stated_arrival_key('records.acquisition_channel') }} = arrivals.arrival_key
    where arrivals.is_paid
),

purchases as (
    select
        purchases.month_start,
        count(*) filter (where purchases.customer_order_number = 1) as new_customers,
        count(paid_customers.customer_id) filter (where purchases.customer_order_number = 1) as paid_new_customers,
        coalesce(sum(purchases.revenue_reporting), 0) as revenue_reporting,
        sum(purchases.revenue_reporting) filter (where purchases.cost_reporting is not null) as revenue_with_cost,
        sum(purchases.cost_reporting) filter (where purchases.revenue_reporting is not null) as cost_reporting
    from {{ ref('int_commerce__purchases') }} as purchases
    left join paid_customers on purchases.customer_id = paid_customers.customer_id
    group by purchases.month_start
),

media as (
    select
        date_trunc('month', spent_on) as month_start,
        sum(amount_reporting) as media_reporting,
        bool_and(amount_reporting is not null) as has_rates
    from {{ ref('fct_ad_spend') }}
    where amount is not null
    group by all
),

further as (
    select
        date_trunc('month', costs.month_start) as month_start,
        sum({{ in_reporting_currency('costs.amount', 'rates.rate') }}) as further_reporting,
        bool_and(rates.rate is not null) as has_rates
    from {{ ref('acquisition_costs') }} as costs
    left join {{ ref('int_finance__rates') }} as rates
        on
            costs.currency = rates.currency
            and costs.month_start >= rates.valid_from
            and costs.month_start < rates.valid_to
    group by all
),

joined as (
    select
        months.month_start,
        coalesce(purchases.new_customers, 0) as new_customers,
        coalesce(purchases.paid_new_customers, 0) as paid_new_customers,
        case when media.has_rates then media.media_reporting end as media_reporting,
        case when further.has_rates then further.further_reporting end as further_reporting,
        case
            when media.month_start is null then 'no ad spend known for the month'
            when not media.has_rates then 'no exchange rate for some of the ad spend'
        end as media_gap,
        case
            when further.month_start is null then 'no further costs in acquisition_costs for the month'
            when not further.has_rates then 'no exchange rate for some of the further costs'
        end as further_gap,
        coalesce(purchases.revenue_reporting, 0) as revenue_reporting,
        (retention.customers_at_start + retention.customers_at_end) / 2.0 as average_customers,
        coalesce(retention.is_mature, false) as is_mature,
        retention.churn_rate,
        cast(purchases.revenue_with_cost - purchases.cost_reporting as double)
        / nullif(cast(purchases.revenue_with_cost as double), 0) as gross_margin,
        cast(purchases.revenue_with_cost as double)
        / nullif(cast(purchases.revenue_reporting as double), 0) as revenue_share_with_cost
    from months
    left join purchases on months.month_start = purchases.month_start
    left join media on months.month_start = media.month_start
    left join further on months.month_start = further.month_start
    left join {{ ref('customer_retention') }} as retention on months.month_start = retention.month_start
),

measured as (
    select
        *,
        -- before anybody can have lapsed it is not known how many customers there are
        case when is_mature then cast(revenue_reporting as double) / nullif(average_customers, 0) end as arpa,
        cast(media_reporting as double) / nullif(paid_new_customers, 0) as cac_paid,
        cast(media_reporting + further_reporting as double) / nullif(new_customers, 0) as cac_fully_loaded,
        cast(media_reporting as double) / nullif(new_customers, 0) as cac_blended,
        -- what was spent the month before on those who buy now
        cast(lag(media_reporting) over (order by month_start) as double)
        / nullif(new_customers, 0) as cac_blended_lagged
    from joined
),

final as (
    select
        *,
        case
            when media_gap is not null then media_gap
            when paid_new_customers = 0 then 'no new customer came from a paid channel'
        end as cac_paid_gap,
        case
            when media_gap is not null then media_gap
            when further_gap is not null then further_gap
            when new_customers = 0 then 'no new customer'
        end as cac_fully_loaded_gap,
        case
            when media_gap is not null then media_gap
            when new_customers = 0 then 'no new customer'
        end as cac_blended_gap,
        arpa * gross_margin / nullif(churn_rate, 0) as ltv,
        case
            when gross_margin is null then 'no costs of products known'
            when churn_rate is null then 'churn is not mature'
            when churn_rate = 0 then 'nobody lapsed'
            when arpa is null then 'no customers'
        end as ltv_gap,
        arpa * gross_margin / nullif(churn_rate, 0) / nullif(cac_blended, 0) as ltv_to_cac,
        cac_blended / nullif(arpa * gross_margin, 0) as cac_payback_months
    from measured
)

select {{ contract_columns() }} from final
