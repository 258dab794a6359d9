with conversions as (
    select * from {{ ref('int_marketing__conversions') }}
),

credits as (
    select * from {{ ref('int_marketing__credits') }}
),

-- what no touch can be given credit for is credited to nobody, and shown
credited as (
    select distinct conversion_key, model from credits
),

nobody as (
    select
        conversions.conversion_key,
        models.model,
        '(none)' as channel,
        1 as credit,
        conversions.revenue_reporting
    from conversions
    cross join {{ ref('attribution_models') }} as models
    anti join credited on conversions.conversion_key = credited.conversion_key and models.model = credited.model
    where models.model <> 'markov'
),

every as (
    select * from credits
    union all by name
    select * from nobody
),

final as (
    select
        every.conversion_key || '|' || every.model || '|' || coalesce(every.touch_key, '') as credit_key,
        conversions.* exclude (conversion_key, revenue_reporting, record_key),
        every.*,
        every.occurred_at as touched_at
    from every
    inner join conversions on every.conversion_key = conversions.conversion_key
)

select {{ contract_columns() }} from final
