-- the steps of a funnel are 1, 2, 3 ... up to 8, about one entity and one window, and are reached in that order
select 'seed' as broken, funnel as what
from {{ ref('funnels') }}
group by funnel
having
    max(step) <> count(*) or count(distinct step) <> count(*) or min(step) <> 1 or max(step) > 8
    or count(distinct entity) > 1 or count(distinct window_days) > 1
    or bool_or(step = 1 and counted_by <> 'entity')
union all
select 'entry', funnel_entry_key
from {{ ref('fct_funnel_entries') }}
where
    entered_at + to_days(window_days) <> window_ends_at
    {% for step in range(2, 9) %}
    or (step_{{ step }}_at is not null and step_{{ step - 1 }}_at is null)
    or step_{{ step }}_at < step_{{ step - 1 }}_at
    {% endfor %}
