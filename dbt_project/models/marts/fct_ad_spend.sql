with final as (
    select
        spend.* exclude (channel),
        spend.channel as stated_channel,
        coalesce(stated.channel, of_campaign.channel, 'unknown') as channel,
        campaigns.name as campaign_name,
        {{ in_reporting_currency('spend.amount', 'rates.rate') }} as amount_reporting
    from {{ ref('ad_spend') }} as spend
    left join {{ ref('campaigns') }} as campaigns on spend.campaign_key = campaigns.campaign_key
    left join {{ ref('int_marketing__arrivals') }} as stated
        on {{ stated_arrival_key('spend.channel') }} = stated.arrival_key
    left join {{ ref('int_marketing__arrivals') }} as of_campaign
        on {{ stated_arrival_key('campaigns.channel') }} = of_campaign.arrival_key
    left join {{ ref('int_finance__rates') }} as rates
        on
            spend.currency = rates.currency
            and spend.spent_on >= rates.valid_from
            and spend.spent_on < rates.valid_to
)

select {{ contract_columns() }} from final
