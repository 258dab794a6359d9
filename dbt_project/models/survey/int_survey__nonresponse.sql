{#- What each person's answer stands for when those who answered speak for all who were asked: classes of
    people alike in what is known of the silent too, when they were asked or of the 60 days after it, and in
    each the invited over those who answered. -#}
{% set variables = ['activity', 'recency', 'trouble', 'value_quintile', 'tenure', 'country'] %}
with people as (
    select customer_id, country, is_test or is_employee as is_internal from {{ ref('customer_360') }}
),

answers as (
    select
        invitation_key,
        arg_max(score, (responded_at, response_key)) as score,
        arg_max(answer_value, (responded_at, response_key)) as answer_value
    from {{ ref('fct_survey_responses') }}
    where invitation_key is not null and answer_value is not null
    group by invitation_key
),

invitations as (
    select
        invitations.invitation_key,
        invitations.survey_key,
        invitations.customer_id,
        invitations.kind,
        coalesce(invitations.relation, 'unknown') as relation,
        invitations.sent_at,
        invitations.sent_on,
        people.country,
        answers.answer_value,
        answers.answer_value is not null as has_answered
    from {{ ref('fct_survey_invitations') }} as invitations
    left join people on invitations.customer_id = people.customer_id
    left join answers on invitations.invitation_key = answers.invitation_key
    left join {{ ref('int_survey__registry') }} as surveys on invitations.survey_key = surveys.survey_key
    where
        invitations.kind in ('nps', 'csat', 'ces') and not coalesce(people.is_internal, false)
        -- where no answer would count nobody is silent
        and coalesce(surveys.is_counted, true) and coalesce(surveys.ces_version, '2.0') = '2.0'
),

orders as (
    select
        customer_id,
        ordered_at,
        sum(cast(revenue_reporting as decimal(18, 4))) over history as value_so_far,
        min(ordered_at) over history as first_ordered_at
    from {{ ref('fct_orders') }}
    where is_valid and customer_id is not null
    window history as (partition by customer_id order by ordered_at, order_key rows unbounded preceding)
),

-- what people do of their own accord, other than to answer: who never does has often left
activities as (
    select customer_id, occurred_at
    from {{ ref('fct_interactions') }}
    where direction = 'inbound' and concept <> 'survey_response' and customer_id is not null
),

troubles as (
    select customer_id, troubled_at, count(*) over (partition by customer_id order by troubled_at) as troubles_so_far
    from (
        select customer_id, delivered_at as troubled_at from {{ ref('fct_orders') }} where is_late
        union all
        select customer_id, first_refunded_at from {{ ref('fct_orders') }} where first_refunded_at is not null
        union all
        select customer_id, created_at from {{ ref('fct_tickets') }}
    ) as troubles
    where customer_id is not null
),

histories as (
    select
        invitations.*,
        orders.value_so_far,
        orders.first_ordered_at,
        date_diff('day', orders.ordered_at, invitations.sent_at) as days_since_order,
        date_diff('day', invitations.sent_at, activities.occurred_at) as days_to_activity,
        coalesce(recent.troubles_so_far, 0) - coalesce(older.troubles_so_far, 0) as troubles
    from invitations
    asof left join orders
        on invitations.customer_id = orders.customer_id and invitations.sent_at >= orders.ordered_at
    asof left join activities
        on invitations.customer_id = activities.customer_id and invitations.sent_at < activities.occurred_at
    asof left join troubles as recent
        on invitations.customer_id = recent.customer_id and invitations.sent_at >= recent.troubled_at
    asof left join troubles as older
        on invitations.customer_id = older.customer_id and invitations.sent_at - interval 180 day >= older.troubled_at
),

periods as (
    select
        histories.*,
        grains.period_grain,
        case when grains.period_grain <> 'all' then cast(date_trunc(grains.period_grain, sent_on) as date) end
            as period_start
    from histories
    cross join (values ('month'), ('quarter'), ('year'), ('all')) as grains (period_grain)
    -- one voice per person and period: an invitation that was answered before a silent one, then the newest
    qualify
        row_number() over (
            partition by kind, relation, grains.period_grain, period_start, coalesce(customer_id, invitation_key)
            order by has_answered desc, sent_at desc, invitation_key desc
        ) = 1
),

cells as (
    select
        *,
        concat_ws(' ', kind, relation, period_grain, cast(period_start as varchar)) as cell,
        case
            -- known of some before the days have passed, but not of others
            when sent_at + interval 60 day > {{ as_of() }} then 'not yet known'
            when days_to_activity < 14 then 'within 14 days' when days_to_activity < 60 then 'within 60 days'
            else 'none in 60 days'
        end as activity,
        case
            when days_since_order is null then 'never ordered' when days_since_order < 90 then 'within 90 days'
            when days_since_order < 270 then 'within 270 days' else 'longer ago'
        end as recency,
        case when troubles = 0 then 'none' when troubles = 1 then 'one' else 'several' end as trouble,
        case
            when value_so_far is not null
                then 1 + least(4, floor(5 * percent_rank() over (
                    partition by kind, relation, period_grain, period_start order by value_so_far
                )))
        end as value_quintile,
        case
            when first_ordered_at is null then 'never ordered'
            when first_ordered_at > sent_at - interval 1 year then 'under a year' else 'a year or more'
        end as tenure
    from periods
),

{{ collapsed_classes('cells', 'cell', variables, 'has_answered', minimum_class_size()) }}

select
    invitation_key,
    survey_key,
    customer_id,
    kind,
    relation,
    period_grain,
    period_start,
    class,
    has_answered,
    answer_value,
    count(*) over (partition by class) as invited_in_class,
    count(*) filter (where has_answered) over (partition by class) as answered_in_class,
    case
        when has_answered
            then count(*) over (partition by class) / count(*) filter (where has_answered) over (partition by class)
    end as weight
from classes
