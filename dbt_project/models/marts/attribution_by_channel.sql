{#- Sums of the credits, which are exact; what the Markov chain credits is cut out of the total of the
    conversions, so that it adds up as well. -#}
{% set figures = ['credit_share', 'credit_low', 'credit_high', 'revenue_share', 'revenue_low', 'revenue_high'] %}
{% set periods = [('month', "cast(date_trunc('month', converted_on) as date)"), ('all', 'cast(null as date)')] %}
with credits as (
    select *
    from {{ ref('fct_attribution_credits') }}
    where converted_on <= {{ reporting_date(as_of()) }}
),

sums as (
    {% for grain, start in periods %}
    select
        conversion_kind, '{{ grain }}' as period_grain, {{ start }} as period_start, model, channel,
        sum(credit) as conversions,
        coalesce(sum(revenue_reporting), 0) as revenue_reporting
    from credits
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

totals as (
    {% for grain, start in periods %}
    select
        conversion_kind, '{{ grain }}' as period_grain, {{ start }} as period_start,
        count(distinct conversion_key) as conversions_total,
        sum(revenue_reporting) as revenue_total
    from credits
    where model = 'linear'
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- the chain is made of the paths that are no longer open, in 'all' of fewer than there are conversions
chains as (
    {% for grain, start in [('month', 'month_start'), ('all', 'cast(null as date)')] %}
    select conversion_kind, '{{ grain }}' as period_grain, {{ start }} as period_start, sum(steps) as conversions
    from {{ ref('int_marketing__transitions') }}
    where to_channel = '(conversion)'
    group by all
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

shares as (
    select
        *,
        case when month_start is null then 'all' else 'month' end as period_grain,
        month_start as period_start
    from {{ ref('int_marketing__attribution') }}
),

placed as (
    select
        shares.* exclude (month_start),
        totals.conversions_total,
        coalesce(totals.revenue_total, 0) as revenue_total,
        case
            when shares.model = 'markov' then coalesce(chains.conversions, 0) else totals.conversions_total
        end as n,
        shares.model <> 'markov' or shares.period_start is null
        or shares.period_start + interval 1 month + to_days(kinds.lookback_days)
        <= {{ reporting_date(as_of()) }} as is_complete,
        coalesce(sums.conversions, 0) as conversions_added,
        coalesce(sums.revenue_reporting, 0) as revenue_added,
        row_number() over in_order = count(*) over whole as is_last,
        round(sum(shares.credit_share) over in_order * totals.conversions_total, 9) as conversions_until,
        round(sum(shares.revenue_share) over in_order * coalesce(totals.revenue_total, 0)::double, 4) as revenue_until
    from shares
    inner join totals
        on
            shares.conversion_kind = totals.conversion_kind
            and shares.period_start is not distinct from totals.period_start
    left join {{ ref('attribution_conversions') }} as kinds on shares.conversion_kind = kinds.conversion_kind
    left join chains
        on
            shares.conversion_kind = chains.conversion_kind
            and shares.period_start is not distinct from chains.period_start
    left join sums
        on
            shares.conversion_kind = sums.conversion_kind
            and shares.period_start is not distinct from sums.period_start
            and shares.model = sums.model
            and shares.channel = sums.channel
    window
        whole as (partition by shares.conversion_kind, shares.period_start, shares.model),
        in_order as (
            partition by shares.conversion_kind, shares.period_start, shares.model order by shares.channel
            rows between unbounded preceding and current row
        )
),

cut as (
    select
        *,
        case
            when is_last then cast(conversions_total as decimal(28, 9))
            else cast(conversions_until as decimal(28, 9))
        end as conversions_cut,
        case
            when is_last then cast(revenue_total as decimal(28, 4))
            else cast(coalesce(revenue_until, 0) as decimal(28, 4))
        end as revenue_cut
    from placed
),

amounts as (
    select
        cut.*,
        case
            when cut.model = 'markov' then conversions_cut - coalesce(lag(conversions_cut) over in_order, 0)
            else conversions_added
        end as conversions,
        case
            when cut.model = 'markov' then revenue_cut - coalesce(lag(revenue_cut) over in_order, 0)
            else revenue_added
        end as revenue_reporting,
        coalesce(strftime(period_start, '%Y-%m'), 'all') as month,
        n >= models.minimum_conversions and is_complete as is_shown,
        models.minimum_conversions,
        models.adds_up
    from cut
    inner join {{ ref('attribution_models') }} as models on cut.model = models.model
    window in_order as (partition by conversion_kind, period_start, cut.model order by channel)
),

final as (
    select
        concat_ws('|', amounts.conversion_kind, amounts.month, amounts.model, amounts.channel) as attribution_key,
        amounts.conversion_kind,
        amounts.period_grain,
        amounts.period_start,
        amounts.model,
        amounts.channel,
        amounts.n,
        amounts.minimum_conversions,
        amounts.is_shown,
        case when amounts.is_shown then amounts.conversions end as conversions,
        case when amounts.is_shown then amounts.revenue_reporting end as revenue_reporting,
        {% for figure in figures %}
        case when amounts.is_shown then amounts.{{ figure }} end as {{ figure }},
        {% endfor %}
        amounts.adds_up
    from amounts
)

select {{ contract_columns() }} from final
