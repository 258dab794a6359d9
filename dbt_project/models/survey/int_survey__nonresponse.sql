{#- What each person's answer stands for when those who answered speak for all who were asked: raking to what is
    known of the silent too, and was known when they were last asked. -#}
{% set properties = nonresponse_properties() %}
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
        count(*) over history as orders_so_far,
        min(ordered_at) over history as first_ordered_at
    from {{ ref('fct_orders') }}
    where is_valid and customer_id is not null
    window history as (partition by customer_id order by ordered_at, order_key rows unbounded preceding)
),

-- what people do of their own accord, other than to answer; mails they open are looked at apart
activities as (
    select customer_id, occurred_at
    from {{ ref('fct_interactions') }}
    where
        direction = 'inbound' and concept <> 'survey_response' and action <> 'campaign_opened'
        and customer_id is not null
),

-- an order that was not there in time; a request not answered in a day, not solved in three, or taken up again
troubles as (
    select customer_id, troubled_at, count(*) over (partition by customer_id order by troubled_at) as troubles_so_far
    from (
        select customer_id, cast(promised_on + interval 1 day as timestamp) as troubled_at
        from {{ ref('fct_orders') }}
        where has_missed_promise
        union all
        select
            customer_id,
            least(
                case
                    when coalesce(first_replied_at, {{ as_of() }}) > created_at + interval 1 day
                        then created_at + interval 1 day
                end,
                case
                    when coalesce(first_solved_at, {{ as_of() }}) > created_at + interval 3 day
                        then created_at + interval 3 day
                end,
                first_reopened_at
            )
        from {{ ref('fct_tickets') }}
        where not is_merged
    ) as troubles
    where customer_id is not null and troubled_at is not null
),

mails as (
    select customer_id, sent_at, opened_at from {{ ref('fct_campaign_messages') }} where customer_id is not null
),

sent as (
    select customer_id, sent_at from mails where sent_at is not null
),

opened as (
    select customer_id, opened_at from mails where opened_at is not null
),

histories as (
    select
        invitations.*,
        coalesce(orders.orders_so_far, 0) - coalesce(older_orders.orders_so_far, 0) as orders,
        coalesce(troubles.troubles_so_far, 0) - coalesce(older_troubles.troubles_so_far, 0) as troubles,
        date_diff('day', orders.first_ordered_at, invitations.sent_at) as tenure_days,
        date_diff('day', activities.occurred_at, invitations.sent_at) as idle_days,
        date_diff('day', sent.sent_at, invitations.sent_at) as days_since_mail,
        date_diff('day', opened.opened_at, invitations.sent_at) as days_since_opening
    from invitations
    asof left join orders
        on invitations.customer_id = orders.customer_id and invitations.sent_at >= orders.ordered_at
    asof left join orders as older_orders
        on
            invitations.customer_id = older_orders.customer_id
            and invitations.sent_at - interval 180 day >= older_orders.ordered_at
    asof left join troubles
        on invitations.customer_id = troubles.customer_id and invitations.sent_at >= troubles.troubled_at
    asof left join troubles as older_troubles
        on
            invitations.customer_id = older_troubles.customer_id
            and invitations.sent_at - interval 180 day >= older_troubles.troubled_at
    asof left join activities
        on invitations.customer_id = activities.customer_id and invitations.sent_at > activities.occurred_at
    asof left join sent
        on invitations.customer_id = sent.customer_id and invitations.sent_at >= sent.sent_at
    asof left join opened
        on invitations.customer_id = opened.customer_id and invitations.sent_at >= opened.opened_at
),

-- one voice per person and period: an invitation that was answered before a silent one, then the newest
voices as (
    select
        invitation_key,
        grains.period_grain,
        case when grains.period_grain <> 'all' then cast(date_trunc(grains.period_grain, sent_on) as date) end
            as period_start,
        count(*) over voice as invitations,
        first_value(invitation_key) over (voice order by sent_at desc, invitation_key desc) as newest_key
    from invitations
    cross join (values ('month'), ('quarter'), ('year'), ('all')) as grains (period_grain)
    window
        voice as (partition by kind, relation, period_grain, period_start, coalesce(customer_id, invitation_key))
    qualify row_number() over (voice order by has_answered desc, sent_at desc, invitation_key desc) = 1
),

described as (
    select
        voices.invitation_key,
        told.survey_key,
        told.customer_id,
        told.kind,
        told.relation,
        told.has_answered,
        told.answer_value,
        voices.period_grain,
        voices.period_start,
        concat_ws(' ', told.kind, told.relation, voices.period_grain, cast(voices.period_start as varchar)) as period,
        case voices.invitations when 1 then 'once' when 2 then 'twice' when 3 then 'three times' else 'more often' end
            as times_asked,
        case
            when known.idle_days < 30 then 'within 30 days' when known.idle_days < 90 then 'within 90 days'
            when known.idle_days < 180 then 'within 180 days' else 'none in 180 days'
        end as activity,
        case
            when known.orders = 0 then 'none' when known.orders = 1 then 'one'
            when known.orders < 4 then 'two or three' else 'four or more'
        end as recent_orders,
        case when known.troubles = 0 then 'none' when known.troubles = 1 then 'one' else 'several' end
            as recent_trouble,
        case
            when known.days_since_opening < 180 then 'opened' when known.days_since_mail < 180 then 'not opened'
            else 'none sent'
        end as mails,
        case
            when known.tenure_days is null then 'never ordered' when known.tenure_days < 180 then 'under half a year'
            when known.tenure_days < 365 then 'under a year' else 'a year or more'
        end as tenure,
        coalesce(known.country, 'unknown') as country
    from voices
    inner join invitations as told on voices.invitation_key = told.invitation_key
    inner join histories as known on voices.newest_key = known.invitation_key
),

profiles as (
    select
        period,
        {% for property in properties %}
        {{ property }},
        {% endfor %}
        cast(count(*) as integer) as invited,
        cast(count(*) filter (where has_answered) as integer) as answered
    from described
    group by all
),

{{ raked('profiles', 'period', properties) }}

select
    described.invitation_key,
    described.survey_key,
    described.customer_id,
    described.kind,
    described.relation,
    described.period_grain,
    described.period_start,
    {% for property in properties %}
    raked.{{ property }}_group as {{ property }},
    {% endfor %}
    described.has_answered,
    described.answer_value,
    case when described.has_answered then raked.weight end as weight
from described
inner join raked
    on
        described.period = raked.period
        {% for property in properties %}
        and described.{{ property }} = raked.{{ property }}
        {% endfor %}
