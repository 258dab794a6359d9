{#- A touch without a time has no place on a time line; `quality.findings` lists those. -#}
with final as (
    select
        *,
        {{ reporting_date('occurred_at') }} as occurred_on,
        cast(null as double) as sentiment,
        cast(null as decimal(18, 4)) as cost_reporting
    from {{ ref('int_journey__touches') }}
    where occurred_at is not null
)

select {{ contract_columns() }} from final
