{#- Leads with what had become of them within so many days; null until those days are over. -#}
select
    {% for days in [30, 90] %}
    case
        when created_at + interval {{ days }} day <= {{ as_of() }}
            then coalesce(won_at <= created_at + interval {{ days }} day, false)
    end as is_won_{{ days }}d,
    {% endfor %}
    opportunity_key,
    source,
    customer_id,
    created_at,
    created_on
from {{ ref('fct_opportunities') }}
where converted_from_key is null and created_at is not null
