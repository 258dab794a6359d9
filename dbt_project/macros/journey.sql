{#- The machine of the journey: which stage each customer entered when, and what caused it.

    `touches`: interaction_key, customer_id, occurred_at, journey_stage, direction and evidence, which says
    what the touch does to the stage: `entry` moves to journey_stage, `lost` to the detour of that name,
    `activity` only shows that the customer is still there, `none` nothing.
    `stages` (stage, stage_number, timeout_days) and `transitions` (from_stage, to_stage, cause) are the
    seeds: a move that is not listed does not happen. Whoever shows nothing for longer than the timeout of the
    stage is inactive from then on; the next touch of theirs brings them back to the stage it speaks of. A first
    touch that no transition from `start` allows enters the first stage. What happens at one moment counts in
    the order of the stages: who buys over a counter has decided and is served at once.

    Gives customer_id, entered_at, step_number (order of moves at one moment), stage_number, from_number (0:
    start), cause, interaction_key.

    A touch is a function from the stage before to the stage after, and what a history does is those functions
    composed: a scan in log4(touches) rounds instead of a walk. Eight stages (0 the start) in three bits each
    make a function a number; no customer may have more than 65,536 steps, which a data test watches. -#}
{% macro journey_moves(touches, stages, transitions, as_of) %}
{%- set identity = 16434824 -%}
{%- set rounds = 8 -%}
with limits as (
    select
        {% for number in range(1, 8) %}
        to_days(max(timeout_days) filter (where stage_number = {{ number }})) as limit_{{ number }},
        {% endfor %}
        max(stage_number) filter (where stage = 'inactive') as inactive,
        max(stage_number) filter (where stage = 'lost') as lost
    from {{ stages }}
),

evidence as (
    select
        touches.customer_id,
        touches.occurred_at,
        touches.interaction_key,
        stages.stage_number,
        case
            when touches.evidence = 'activity' and touches.direction <> 'inbound' then 'none' else touches.evidence
        end as evidence,
        lag(touches.occurred_at) over (
            partition by touches.customer_id
            order by touches.occurred_at, stages.stage_number, touches.interaction_key
        ) is null as is_first
    from {{ touches }} as touches
    inner join {{ stages }} as stages on touches.journey_stage = stages.stage
    where touches.customer_id is not null and touches.occurred_at is not null
),

timed as (
    select
        *,
        row_number() over life as step_number,
        lag(occurred_at) over life as previous_at,
        lag(stage_number) over life = stage_number and lag(evidence) over life = evidence as is_the_same
    from evidence
    where is_first or evidence <> 'none'
    window life as (partition by customer_id order by occurred_at, stage_number, interaction_key)
),

overdue as (
    select
        timed.*,
        {% for number in range(1, 8) %}
        coalesce(timed.occurred_at > timed.previous_at + limits.limit_{{ number }}, false)::int
        * {{ 2 ** number }}{{ ' +' if not loop.last }}
        {% endfor %}
        as overdue
    from timed
    cross join limits
),

-- the same again changes nothing
steps as (
    select
        *,
        row_number() over (partition by customer_id order by step_number) as n
    from overdue
    where step_number <= 2 or overdue > 0 or not is_the_same
),

kinds as (
    select distinct stage_number, evidence, overdue from steps
),

states as (
    select 'start' as stage, 0 as state
    union all
    select stage, stage_number from {{ stages }}
),

allowed as (
    select origins.state as from_number, targets.state as to_number, transitions.cause
    from {{ transitions }} as transitions
    inner join states as origins on transitions.from_stage = origins.stage
    inner join states as targets on transitions.to_stage = targets.stage
),

aims as (
    select
        *,
        case
            when was = 0 then stage_number
            when evidence = 'lost' then lost
            when evidence = 'entry' or was in (inactive, lost) then stage_number
            else was
        end as aim
    from (
        select
            kinds.*,
            states.state,
            limits.inactive,
            limits.lost,
            case when (kinds.overdue >> states.state) & 1 = 1 then limits.inactive else states.state end as was
        from kinds
        cross join states
        cross join limits
    ) as overdue_states
),

functions as (
    select
        aims.stage_number,
        aims.evidence,
        aims.overdue,
        sum(
            case when allowed.to_number is not null then aims.aim when aims.was = 0 then 1 else aims.was end
            << (3 * aims.state)
        )::integer as f0
    from aims
    left join allowed on aims.was = allowed.from_number and aims.aim = allowed.to_number
    group by all
),

scan_0 as (
    select steps.*, functions.f0 as f
    from steps
    inner join functions
        on steps.stage_number = functions.stage_number
        and steps.evidence = functions.evidence
        and steps.overdue = functions.overdue
),

{% for round in range(rounds) %}
{%- set offset = 4 ** round %}
pairs_{{ round + 1 }} as (
    select
        * exclude (f, p1, p2, p3),
        {{ _composed('f', 'p1') }} as late,
        {{ _composed('p2', 'p3') }} as early
    from (
        select
            *,
            {% for step in (1, 2, 3) %}
            lag(f, {{ step * offset }}, {{ identity }}) over life as p{{ step }}{{ ',' if not loop.last }}
            {% endfor %}
        from scan_{{ round }}
        window life as (partition by customer_id order by n)
    ) as neighbours
),

scan_{{ round + 1 }} as (
    select * exclude (late, early), {{ _composed('late', 'early') }} as f
    from pairs_{{ round + 1 }}
),

{% endfor %}
reached as (
    select *, f & 7 as state, lag(f & 7, 1, 0) over (partition by customer_id order by n) as state_before
    from scan_{{ rounds }}
),

entered as (
    select
        reached.* exclude (state_before),
        case when (reached.overdue >> reached.state_before) & 1 = 1 then limits.inactive else reached.state_before end
        as was,
        case when (reached.overdue >> reached.state_before) & 1 = 1 then reached.state_before end as timed_out
    from reached
    cross join limits
),

ends as (
    select
        last_steps.customer_id,
        last_steps.last_at,
        last_states.state
    from (
        select customer_id, max(occurred_at) as last_at
        from overdue
        group by customer_id
    ) as last_steps
    inner join (
        select customer_id, arg_max(state, n) as state
        from reached
        group by customer_id
    ) as last_states on last_steps.customer_id = last_states.customer_id
),

timeouts as (
    select customer_id, previous_at as last_at, timed_out as state, occurred_at as next_at
    from entered
    where timed_out is not null
    union all
    select customer_id, last_at, state, {{ as_of }} from ends
)

select
    timeouts.customer_id,
    timeouts.last_at + to_days(stages.timeout_days) as entered_at,
    0 as step_number,
    limits.inactive as stage_number,
    timeouts.state as from_number,
    'timeout' as cause,
    cast(null as varchar) as interaction_key
from timeouts
inner join {{ stages }} as stages on timeouts.state = stages.stage_number
cross join limits
where timeouts.last_at + to_days(stages.timeout_days) < timeouts.next_at
union all
select
    entered.customer_id,
    entered.occurred_at,
    entered.n,
    entered.state,
    entered.was,
    case when entered.was = 0 then 'first contact' else allowed.cause end,
    entered.interaction_key
from entered
left join allowed on entered.was = allowed.from_number and entered.state = allowed.to_number
where entered.state <> entered.was
{% endmacro %}

{#- What the earlier of two functions does, and then the later. -#}
{% macro _composed(later, earlier) -%}
    {%- for slot in range(8) -%}
    ((({{ later }} >> (3 * (({{ earlier }} >> {{ 3 * slot }}) & 7))) & 7) << {{ 3 * slot }}){{ ' | ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- b2b where a company is known, visitor where only a browser is, else b2c: an expression on customer_360. -#}
{% macro persona() -%}
    case when company_name is not null then 'b2b' when is_anonymous then 'visitor' else 'b2c' end
{%- endmacro %}

{#- The condition on customer_360 that makes a segment, as a text for the queries of the map. -#}
{% macro segment_condition() -%}
    'not is_test and not is_employee' || case dimension
        when 'all' then ''
        else ' and '
            || case dimension when 'persona' then '{{ persona() | replace("'", "''") }}' else 'coalesce(country, ''(unknown)'')' end
            || ' = ''' || replace(dimension_value, '''', '''''') || ''''
    end
{%- endmacro %}
