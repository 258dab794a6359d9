with shown as (
    select *
    from {{ ref('attribution_by_channel') }}
    where adds_up and is_shown and model <> 'same_touch' and channel <> '(none)'
),

ranked as (
    select
        conversion_kind,
        period_grain,
        period_start,
        channel,
        count(*) as models,
        arg_min(model, (credit_share, model)) as lowest_model,
        arg_max(model, (credit_share, model)) as highest_model,
        min(credit_share) as lowest_share,
        max(credit_share) as highest_share,
        arg_min(credit_high, (credit_share, model)) as lowest_high,
        arg_max(credit_low, (credit_share, model)) as highest_low,
        max(credit_share) filter (where model = 'first') as first_share,
        max(credit_share) filter (where model = 'last') as last_share
    from shown
    group by all
),

final as (
    select
        *,
        concat_ws('|', conversion_kind, coalesce(strftime(period_start, '%Y-%m'), 'all'), channel) as disagreement_key,
        highest_share - lowest_share as spread,
        coalesce(highest_low > lowest_high, false) as is_beyond_chance,
        case
            when first_share > last_share then 'opens'
            when first_share < last_share then 'closes'
            else 'neither'
        end as part_in_paths
    from ranked
)

select {{ contract_columns() }} from final
