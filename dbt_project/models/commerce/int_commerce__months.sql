{#- Calendar months from that of the first purchase to the current one. -#}
with bounds as (
    select min(month_start) as first_month, {{ reporting_date(as_of()) }} as today
    from {{ ref('int_commerce__purchases') }}
)

select
    cast(month as date) as month_start,
    cast(month + interval 1 month as date) as next_month_start,
    month + interval 1 month <= today as has_ended
from bounds, unnest(generate_series(first_month, date_trunc('month', today), interval 1 month)) as months (month)
