with changes as (
    select * from {{ ref('int_kpis__period_changes') }}
    union all by name
    select * from {{ ref('int_kpis__publication_changes') }}
),

final as (
    select
        changes.* exclude (volume, mix, rate, late_data, identity, definition),
        {% for term in ('volume', 'mix', 'rate', 'late_data', 'identity', 'definition') %}
        coalesce(changes.{{ term }}, 0) as {{ term }},
        {% endfor %}
        kpis.unit,
        kpis.better
    from changes
    inner join {{ ref('kpis') }} as kpis on changes.kpi_id = kpis.kpi_id
)

select {{ contract_columns() }} from final
