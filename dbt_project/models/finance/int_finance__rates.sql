{#- Value of one unit of each currency in the reporting currency, by the days on which it applies. -#}
with stated as (
    select from_currency as currency, valid_from, rate
    from {{ ref('exchange_rates') }}
    where to_currency = {{ reporting_currency() }} and rate > 0
    union all
    select to_currency, valid_from, 1 / rate
    from {{ ref('exchange_rates') }}
    where from_currency = {{ reporting_currency() }} and rate > 0
),

one_a_day as (
    select currency, valid_from, avg(cast(rate as decimal(28, 12))) as rate
    from stated
    where currency <> {{ reporting_currency() }}
    group by currency, valid_from
)

select
    currency,
    valid_from,
    coalesce(
        lead(valid_from) over (partition by currency order by valid_from), cast('9999-12-31' as date)
    ) as valid_to,
    rate
from one_a_day
union all
select {{ reporting_currency() }}, cast('0001-01-01' as date), cast('9999-12-31' as date), 1
