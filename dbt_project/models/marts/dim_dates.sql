{#- From the first to the last day on which anything happened. -#}
with bounds as (
    select
        coalesce(min({{ reporting_date('occurred_at') }}), {{ reporting_date(as_of()) }}) as first_day,
        greatest(max({{ reporting_date('occurred_at') }}), {{ reporting_date(as_of()) }}) as last_day
    from {{ ref('int_journey__touches') }}
),

final as (
    select
        cast(day as date) as date_day,
        cast(date_trunc('week', day) as date) as week_start,
        cast(date_trunc('month', day) as date) as month_start,
        cast(date_trunc('quarter', day) as date) as quarter_start,
        extract('year' from day) as year_number,
        extract('month' from day) as month_number,
        extract('isodow' from day) as iso_weekday
    from bounds, unnest(generate_series(bounds.first_day, bounds.last_day, interval 1 day)) as days (day)
)

select {{ contract_columns() }} from final
