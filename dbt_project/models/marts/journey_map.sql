{#- One row per stage and segment: what was measured, and what the company wants and who is concerned. -#}
with segments as (
    select * from {{ ref('int_journey__segments') }}
    where dimension <> 'cohort'
),

ranked as (
    select
        dimension,
        dimension_value,
        row_number() over (
            order by dimension <> 'all', dimension <> 'persona', customers desc, dimension_value
        ) as segment_rank
    from (
        select dimension, dimension_value, count(*) as customers
        from segments
        group by all
        union all
        select 'all', 'all', 0
        where not exists (select 1 from segments)
    ) as counted
),

cells as (
    select
        stages.stage_number,
        stages.stage as journey_stage,
        stages.customer_does,
        stages.business_goal,
        stages.teams,
        ranked.*,
        {{ segment_condition() }} as condition
    from {{ ref('journey_stages') }} as stages
    cross join ranked
    where stages.kind = 'path'
),

people as (
    select
        spans.journey_stage,
        segments.dimension,
        segments.dimension_value,
        count(distinct spans.customer_id) as customers,
        count(distinct spans.customer_id) filter (where spans.is_open) as customers_now
    from {{ ref('fct_journey_stage_spans') }} as spans
    inner join segments on spans.customer_id = segments.customer_id
    where not spans.is_detour
    group by all
),

{% for name, condition in [('action', "touches.direction = 'inbound'"), ('touchpoint', 'true')] %}
{{ name }}s as (
    select
        journey_stage,
        dimension,
        dimension_value,
        to_json(list(
            struct_pack({{ name }}, touches, customers) order by touches desc, {{ name }}
        )) as {{ name }}s
    from (
        select
            touches.journey_stage,
            segments.dimension,
            segments.dimension_value,
            touches.{{ name }},
            cast(sum(touches.touches) as bigint) as touches,
            count(distinct touches.customer_id) as customers
        from {{ ref('int_journey__stage_touches') }} as touches
        inner join segments on touches.customer_id = segments.customer_id
        where {{ condition }}
        group by touches.journey_stage, segments.dimension, segments.dimension_value, touches.{{ name }}
        qualify row_number() over (
            partition by touches.journey_stage, segments.dimension, segments.dimension_value
            order by sum(touches.touches) desc, touches.{{ name }}
        ) <= 5
    ) as most_frequent
    group by all
),

{% endfor %}
answers as (
    select customer_id, responded_at, is_satisfied
    from {{ ref('fct_survey_responses') }}
    where is_satisfied is not null and responded_at is not null
),

lasting_spans as (
    select * from {{ ref('fct_journey_stage_spans') }}
    where exited_at is distinct from entered_at
),

feelings as (
    select
        spans.journey_stage,
        segments.dimension,
        segments.dimension_value,
        count(*) as answers,
        count(*) filter (where answers.is_satisfied) as satisfied
    from answers
    asof inner join lasting_spans as spans
        on answers.customer_id = spans.customer_id and answers.responded_at >= spans.entered_at
    inner join segments on spans.customer_id = segments.customer_id
    group by all
),

kpis as (
    select
        stage_number,
        dimension,
        dimension_value,
        to_json(list(
            struct_pack(
                kpi_id, name, part, value, ci_low, ci_high, previous_value, trend, target, status, unit, period_start,
                owner_team, reason
            ) order by position, kpi_id, part
        )) as kpis
    from {{ ref('journey_map_kpis') }}
    group by all
),

final as (
    select
        cells.* exclude (condition),
        coalesce(people.customers, 0) as customers,
        coalesce(people.customers_now, 0) as customers_now,
        people.customers_now / nullif(sum(people.customers_now) over (
            partition by cells.dimension, cells.dimension_value
        ), 0) as share_now,
        {% for name, condition in [('action', " and touches.direction = ''inbound''"), ('touchpoint', '')] %}
        coalesce({{ name }}s.{{ name }}s, cast('[]' as json)) as {{ name }}s,
        'select touches.{{ name }}, count(*) as touches, count(distinct touches.customer_id) as customers'
        || ' from marts.fct_interactions as touches asof inner join'
        || ' (from marts.fct_journey_stage_spans where exited_at is distinct from entered_at) as spans'
        || ' on touches.customer_id = spans.customer_id and touches.occurred_at >= spans.entered_at'
        || ' where spans.journey_stage = ''' || cells.journey_stage || '''{{ condition }}'
        || ' and touches.customer_id in (select customer_id from marts.customer_360 where ' || cells.condition || ')'
        || ' group by all order by touches desc, touches.{{ name }} limit 5' as {{ name }}s_query,
        {% endfor %}
        coalesce(feelings.answers, 0) as answers,
        feelings.satisfied / feelings.answers as share_satisfied,
        {{ wilson('feelings.satisfied', 'feelings.answers', 'low') }} as share_satisfied_low,
        {{ wilson('feelings.satisfied', 'feelings.answers', 'high') }} as share_satisfied_high,
        case when feelings.answers is null then 'nobody has answered a satisfaction question in this stage' end
            as feels_reason,
        'select avg(answers.is_satisfied::int) as share_satisfied, count(*) as answers'
        || ' from (from marts.fct_survey_responses where is_satisfied is not null) as answers'
        || ' asof inner join'
        || ' (from marts.fct_journey_stage_spans where exited_at is distinct from entered_at) as spans'
        || ' on answers.customer_id = spans.customer_id and answers.responded_at >= spans.entered_at'
        || ' where spans.journey_stage = ''' || cells.journey_stage || ''''
        || ' and answers.customer_id in (select customer_id from marts.customer_360 where ' || cells.condition || ')'
            as feels_query,
        times.median_days,
        'select median_days, median_days_low, median_days_high from marts.journey_stage_times where journey_stage = '''
        || cells.journey_stage || ''' and dimension = ''' || cells.dimension
        || ''' and dimension_value = ''' || replace(cells.dimension_value, '''', '''''') || '''' as times_query,
        coalesce(kpis.kpis, cast('[]' as json)) as kpis,
        'select * from marts.journey_map_kpis where journey_stage = ''' || cells.journey_stage
        || ''' and dimension = ''' || cells.dimension
        || ''' and dimension_value = ''' || replace(cells.dimension_value, '''', '''''')
        || ''' order by position, part' as kpis_query
    from cells
    {% for table in ['people', 'actions', 'touchpoints', 'feelings'] %}
    left join {{ table }}
        on
            cells.journey_stage = {{ table }}.journey_stage
            and cells.dimension = {{ table }}.dimension
            and cells.dimension_value = {{ table }}.dimension_value
    {% endfor %}
    left join {{ ref('journey_stage_times') }} as times
        on
            cells.journey_stage = times.journey_stage
            and cells.dimension = times.dimension
            and cells.dimension_value = times.dimension_value
    left join kpis
        on
            cells.stage_number = kpis.stage_number
            and cells.dimension = kpis.dimension
            and cells.dimension_value = kpis.dimension_value
)

select {{ contract_columns() }} from final
