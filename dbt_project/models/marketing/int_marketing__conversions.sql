{#- What marketing is given credit for. Orders and leads of tests and employees are none. -#}
with internal as (
    select customer_id from {{ ref('int_commerce__internal_customers') }}
),

orders as (
    select
        kinds.conversion_kind,
        orders.order_key as record_key,
        orders.customer_id,
        orders.ordered_at as converted_at,
        orders.revenue_reporting,
        orders.source
    from {{ ref('fct_orders') }} as orders
    cross join (values ('order'), ('first_order')) as kinds (conversion_kind)
    where
        orders.is_valid
        and orders.ordered_at is not null
        and (kinds.conversion_kind = 'order' or orders.customer_order_number = 1)
),

leads as (
    select
        'won_lead' as conversion_kind,
        opportunity_key as record_key,
        customer_id,
        won_at as converted_at,
        {{ in_reporting_currency('amount', 'rates.rate') }} as revenue_reporting,
        source
    from {{ ref('fct_opportunities') }}
    left join {{ ref('int_finance__rates') }} as rates
        on
            fct_opportunities.currency = rates.currency
            and {{ reporting_date('won_at') }} >= rates.valid_from
            and {{ reporting_date('won_at') }} < rates.valid_to
    where converted_from_key is null and won_at is not null
),

conversions as (
    select * from orders
    union all
    select * from leads
)

select
    conversions.conversion_kind || ':' || conversions.record_key as conversion_key,
    conversions.*,
    {{ reporting_date('conversions.converted_at') }} as converted_on
from conversions
anti join internal on conversions.customer_id = internal.customer_id
