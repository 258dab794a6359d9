{#- A window that has not ended says nothing yet: no later purchase changes what an ended one says. -#}
with carts as (
    select *, {{ person_reference(email='email', anonymous_id='anonymous_id') }} as record_key
    from {{ ref('carts') }}
),

joined as (
    select
        carts.* replace (coalesce(carts.completed_at, orders.ordered_at) as completed_at),
        assignments.customer_id,
        {{ reporting_date('carts.created_at') }} as created_on
    from carts
    left join {{ ref('int_identity__assignments') }} as assignments on carts.record_key = assignments.record_key
    left join {{ ref('orders') }} as orders on carts.order_key = orders.order_key
),

final as (
    select
        joined.*,
        {{ reporting_date('joined.completed_at') }} as completed_on,
        date_diff('second', joined.created_at, joined.completed_at) / 3600.0 as hours_to_purchase,
        {{ in_reporting_currency('joined.amount', 'rates.rate') }} as amount_reporting,
        {% for name, hours in cart_windows() %}
        case
            when joined.created_at + interval {{ hours }} hour <= {{ as_of() }}
                then coalesce(joined.completed_at > joined.created_at + interval {{ hours }} hour, true)
        end as is_abandoned_{{ name }},
        {% endfor %}
        {% for name, hours in cart_windows()[1:] %}
        case when is_abandoned_1h then not is_abandoned_{{ name }} end as is_recovered_{{ name }},
        {% endfor %}
        joined.created_at + interval 720 hour <= {{ as_of() }} as is_mature
    from joined
    left join {{ ref('int_finance__rates') }} as rates
        on
            joined.currency = rates.currency
            and joined.created_on >= rates.valid_from
            and joined.created_on < rates.valid_to
)

select {{ contract_columns() }} from final
