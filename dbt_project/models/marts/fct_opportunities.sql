with opportunities as (
    select * from {{ ref('opportunities') }}
),

assignments as (
    select record_key, customer_id from {{ ref('int_identity__assignments') }}
),

stages as (
    select
        opportunity_key,
        min(entered_at) filter (where stage = 'qualified') as qualified_at,
        min(entered_at) filter (where stage = 'proposal') as proposal_at,
        min(entered_at) filter (where stage = 'won') as won_at,
        min(entered_at) filter (where stage = 'lost') as lost_at,
        arg_max(stage, (
            entered_at, list_position(['new', 'qualified', 'proposal', 'negotiation', 'lost', 'won'], stage)
        )) as current_stage,
        arg_max(amount, (entered_at, opportunity_stage_event_key)) filter (where amount is not null) as amount,
        arg_max(currency, (entered_at, opportunity_stage_event_key)) filter (where amount is not null) as currency,
        arg_max(account_key, (entered_at, opportunity_stage_event_key)) filter (where account_key is not null)
            as account_key,
        arg_max(segment, (entered_at, opportunity_stage_event_key)) filter (where segment is not null) as segment
    from {{ ref('opportunity_stage_events') }}
    group by opportunity_key
),

conversions as (
    select * from {{ ref('int_marketing__lead_deals') }}
),

joined as (
    select
        opportunities.opportunity_key,
        conversions.lead_key as converted_from_key,
        coalesce(opportunities.converted_to_key, guessed.deal_key) as converted_to_key,
        coalesce(conversions.is_inferred, guessed.is_inferred, false) as is_conversion_inferred,
        opportunities.source,
        opportunities.kind,
        assignments.customer_id,
        coalesce(stages.account_key, opportunities.account_key) as account_key,
        opportunities.owner_key,
        opportunities.campaign_key,
        opportunities.channel,
        stages.segment,
        coalesce(stages.amount, opportunities.amount) as amount,
        coalesce(stages.currency, opportunities.currency) as currency,
        opportunities.created_at,
        {{ reporting_date('opportunities.created_at') }} as created_on,
        stages.qualified_at,
        stages.proposal_at,
        {#- a lead is won with its opportunity, where that is known #}
        case when deals.opportunity_key is null then stages.won_at else deal_stages.won_at end as won_at,
        stages.lost_at,
        coalesce(stages.current_stage, 'new') as current_stage,
        opportunities.lost_reason
    from opportunities
    left join assignments on opportunities.person_record_key = assignments.record_key
    left join stages on opportunities.opportunity_key = stages.opportunity_key
    left join conversions on opportunities.opportunity_key = conversions.deal_key
    left join conversions as guessed on guessed.is_inferred and opportunities.opportunity_key = guessed.lead_key
    left join opportunities as deals
        on coalesce(opportunities.converted_to_key, guessed.deal_key) = deals.opportunity_key
    left join stages as deal_stages on deals.opportunity_key = deal_stages.opportunity_key
),

final as (
    select
        *,
        won_at is not null as is_won,
        date_diff('second', created_at, won_at) / 86400.0 as days_to_win
    from joined
)

select {{ contract_columns() }} from final
