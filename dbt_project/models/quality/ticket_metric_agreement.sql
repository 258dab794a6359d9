{#- How far a help desk's own figures and ours agree, metric by metric. -#}
with compared as (
    select source, count(*) as tickets
    from {{ ref('ticket_metric_sets') }}
    semi join {{ ref('fct_tickets') }} as tickets on ticket_metric_sets.ticket_key = tickets.ticket_key
    group by source
),

metrics as (
    select unnest([
        'replies', 'reopens', 'assignee_stations', 'group_stations',
        {% for name in [
            'first_reply', 'first_resolution', 'full_resolution', 'requester_wait', 'agent_wait', 'on_hold'
        ] %}
        '{{ name }}_minutes', '{{ name }}_business_minutes'{{ ',' if not loop.last }}
        {% endfor %}
    ]) as metric
),

differences as (
    select
        source,
        metric,
        count(*) as differing,
        count(*) filter (where cause <> 'unexplained') as explained
    from {{ ref('ticket_metric_differences') }}
    group by all
)

select
    compared.source,
    metrics.metric,
    compared.tickets,
    compared.tickets - coalesce(differences.differing, 0) as equal,
    coalesce(differences.explained, 0) as explained,
    coalesce(differences.differing - differences.explained, 0) as unexplained
from compared
cross join metrics
left join differences on compared.source = differences.source and metrics.metric = differences.metric
