{#- Which opportunity a lead has become. Where a system never tells that, the next opportunity of the same
    person record is taken for that of its newest lead that was not lost. -#}
with opportunities as (
    select * from {{ ref('opportunities') }}
),

stated as (
    select min(opportunity_key) as lead_key, converted_to_key as deal_key, false as is_inferred
    from opportunities
    where converted_to_key is not null
    group by converted_to_key
),

silent as (
    select source from opportunities group by source having count(converted_to_key) = 0
),

lost as (
    select distinct opportunity_key from {{ ref('opportunity_stage_events') }} where stage = 'lost'
),

leads as (
    select opportunity_key, source, person_record_key, created_at
    from opportunities
    semi join silent on opportunities.source = silent.source
    anti join lost on opportunities.opportunity_key = lost.opportunity_key
    where kind = 'lead' and person_record_key is not null and created_at is not null
    -- of two leads in the same second the first by key
    qualify row_number() over (partition by person_record_key, created_at order by opportunity_key) = 1
),

nearest as (
    select leads.opportunity_key as lead_key, deals.opportunity_key as deal_key, deals.created_at
    from opportunities as deals
    asof inner join leads
        on
            deals.source = leads.source
            and deals.person_record_key = leads.person_record_key
            and deals.created_at >= leads.created_at
    where deals.kind = 'opportunity'
),

inferred as (
    select lead_key, deal_key, true as is_inferred
    from nearest
    qualify row_number() over (partition by lead_key order by created_at, deal_key) = 1
)

select * from stated
union all
select * from inferred
