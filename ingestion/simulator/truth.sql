-- Known answers, counted from the world alone, as of getvariable('as_of'), by days and months of
-- getvariable('timezone'). People are b2c and b2b persons: not employees, tests or bots.
-- Later facts (a cancellation, a refund, a reply) count for the rows they belong to only if they
-- had happened. An erased person keeps counting: what happened, happened.

create or replace temp macro happened(moment) as coalesce(moment <= getvariable('as_of'), false);
create or replace temp macro local(moment) as timezone(getvariable('timezone'), moment);
create or replace temp macro month_of(moment) as strftime(local(moment), '%Y-%m');

create or replace temp table people as
select person_id from world.person where kind in ('b2c', 'b2b');

-- ---- money ------------------------------------------------------------------------------------
create or replace temp table rate as
select currency, day, to_eur::decimal(18, 8) as to_eur from world.exchange_rate where currency <> 'EUR'
union all
select 'EUR', date '0001-01-01', 1;

create or replace temp table rate_now as
select currency, arg_max(to_eur, day) as to_eur
from rate where day <= local(getvariable('as_of'))::date group by currency;

create or replace temp table sale as -- what was ordered; valid: not canceled so far
select
    o.order_id, o.person_id, o.placed_at, month_of(o.placed_at) as month, o.currency,
    not happened(o.canceled_at) as is_valid,
    o.total * r.to_eur as total, (o.subtotal - o.discount) * r.to_eur as goods, r.to_eur,
    case when happened(o.delivered_at) then o.delivered_at end as delivered_at, o.promised_at
from world.orders as o
semi join people on o.person_id = people.person_id
asof left join rate as r on o.currency = r.currency and local(o.placed_at)::date >= r.day
where happened(o.placed_at) and not coalesce(o.is_test, false);

create or replace temp table refunded as
select
    f.refund_id, s.is_valid, s.currency, month_of(f.at) as month, s.month as order_month,
    f.amount * r.to_eur as amount, f.amount * s.to_eur as amount_at_order
from world.refund as f
join sale as s using (order_id)
asof left join rate as r on s.currency = r.currency and local(f.at)::date >= r.day
where happened(f.at);

-- ---- service ----------------------------------------------------------------------------------
create or replace temp table status_change as
select ticket_id, "at", ticket_event_id, from_value, to_value
from world.ticket_event where field = 'status' and happened("at");

create or replace temp table request as -- tickets, each with what had become of it
with
changes as (
    select
        ticket_id, arg_max(to_value, ("at", ticket_event_id)) as status,
        max("at") filter (to_value = 'solved') as solved_at,
        count(*) filter (to_value = 'solved') as solves,
        count(*) filter (from_value = 'solved' and to_value in ('new', 'open', 'pending', 'hold')) as reopens
    from status_change group by ticket_id
),
replies as (
    select ticket_id, min("at") as first_at, count(*) as n
    from world.message
    where author = 'agent' and coalesce(is_public, true) and happened("at")
    group by ticket_id
),
ratings as (
    select ticket_id, arg_max(to_value, ("at", ticket_event_id)) as rating
    from world.ticket_event
    where field = 'satisfaction' and to_value in ('good', 'bad') and happened("at")
    group by ticket_id
)
select
    t.ticket_id, t.vendor, t.created_at, month_of(t.created_at) as month,
    coalesce(c.status, 'new') as status,
    -- a ticket merged away is closed without being solved: it is a request, but no case of its own
    t.merged_into is not null and coalesce(c.status, 'new') = 'closed' as is_merged,
    c.solved_at, coalesce(c.solves, 0) as solves, coalesce(c.reopens, 0) as reopens,
    p.first_at as first_reply_at, coalesce(p.n, 0) as replies, s.rating
from world.ticket as t
semi join people on t.person_id = people.person_id
left join changes as c using (ticket_id)
left join replies as p using (ticket_id)
left join ratings as s using (ticket_id)
where happened(t.created_at) and not happened(t.deleted_at) and not coalesce(t.is_test, false);

-- ---- voice ------------------------------------------------------------------------------------
create or replace temp table answer as
select
    r.response_id, r.invitation_id, s.kind, s.scale_min, s.scale_max, r.score, i.order_id,
    month_of(r.recorded_at) as month,
    not coalesce(r.is_partial, false) or happened(r.completed_at) as is_complete
from world.survey_response as r
semi join people on r.person_id = people.person_id
join world.survey as s using (survey_id)
left join world.survey_invitation as i using (invitation_id)
where happened(r.recorded_at) and not happened(r.deleted_at);

create or replace temp table invited as
select
    i.invitation_id, s.kind, s.scale_min, s.scale_max, i.felt_score, month_of(i.sent_at) as month,
    case
        when a.is_complete then 'complete'
        when a.invitation_id is not null then 'partial'
        when i.status = 'bounced' then 'unknown'
        when i.status = 'opted_out' then 'refused'
        else 'no_contact'
    end as outcome
from world.survey_invitation as i
semi join people on i.person_id = people.person_id
join world.survey as s using (survey_id)
left join (
    select invitation_id, bool_or(is_complete) as is_complete from answer group by all
) as a on i.invitation_id = a.invitation_id
where happened(i.sent_at);

-- NPS is asked on 0 to 10, CSAT on 1 to 5, CES 2.0 on 1 to 7: other scales give no score of these.
create or replace temp macro scored(kind, low, high, score) as case
    when kind = 'nps' and low = 0 and high = 10
        then case when score >= 9 then 1 when score <= 6 then -1 else 0 end
    when kind = 'csat' and low = 1 and high = 5 then (score >= 4)::int
    when kind = 'ces' and low = 1 and high = 7 then (score >= 5)::int
end;

-- ---- mail, carts, selling ---------------------------------------------------------------------
create or replace temp table mail as
with events as (
    select
        send_id,
        bool_or(kind = 'open') as any_open,
        bool_or(kind = 'click') as any_click,
        bool_or(kind = 'open' and not coalesce(is_machine, false)) as opened,
        bool_or(kind = 'click' and not coalesce(is_machine, false)) as clicked,
        bool_or(kind = 'unsubscribe') as unsubscribed
    from world.email_event where happened("at") group by send_id
)
select
    s.send_id, month_of(s.sent_at) as month, s.outcome = 'sent' as is_delivered,
    d.dimension,
    coalesce(case d.dimension when 'people' then e.opened else e.any_open end, false) as opened,
    coalesce(case d.dimension when 'people' then e.clicked else e.any_click end, false) as clicked,
    coalesce(e.unsubscribed, false) as unsubscribed
from world.email_send as s
semi join people on s.person_id = people.person_id
left join events as e using (send_id)
cross join (values ('people'), ('with_machines')) as d(dimension)
where happened(s.sent_at);

create or replace temp table basket as -- once for each time it may take to buy what lies in it
select
    c.cart_id, month_of(c.created_at) as month, w.dimension,
    happened(c.completed_at) and c.completed_at <= c.created_at + w.span as is_bought,
    happened(c.completed_at) and c.completed_at <= c.created_at + interval 1 hour as is_bought_at_once
from world.cart as c
semi join people on c.person_id = people.person_id
cross join (
    values ('1h', interval 1 hour), ('24h', interval 24 hour), ('72h', interval 72 hour),
        ('30d', interval 720 hour)
) as w(dimension, span)
where happened(c.created_at) and happened(c.created_at + w.span);

create or replace temp table deal as
with stages as (
    select
        opportunity_id,
        arg_max(stage, ("at", stage_event_id)) as stage, max("at") as stage_at,
        arg_max(amount, ("at", stage_event_id)) filter (amount is not null) as amount,
        arg_max(probability, ("at", stage_event_id)) as probability
    from world.opportunity_stage where happened("at") group by opportunity_id
)
select
    o.opportunity_id, o.kind, o.from_opportunity_id, o.currency, month_of(o.created_at) as month,
    coalesce(s.stage, 'new') as stage, month_of(s.stage_at) as stage_month,
    s.amount * r.to_eur as amount, s.probability, s.amount is not null and r.to_eur is null as lacks_rate
from world.opportunity as o
semi join people on o.person_id = people.person_id
left join stages as s using (opportunity_id)
left join rate_now as r on o.currency = r.currency
where happened(o.created_at);

-- ---- people over time -------------------------------------------------------------------------
create or replace temp table parting as -- a row is written when one goes, again when one returns
select
    person_id, churned_at, any_value(cause) as cause,
    max(returned_at) filter (happened(returned_at)) as returned_at
from world.churn
semi join people on churn.person_id = people.person_id
where happened(churned_at)
group by person_id, churned_at;

create or replace temp table customer as -- who has bought, and since when
select person_id, min(placed_at) as since from sale where is_valid group by person_id;

create or replace temp table period as -- months from the first order on, with their bounds
select
    strftime(m, '%Y-%m') as month, timezone(getvariable('timezone'), m) as begins_at,
    least(timezone(getvariable('timezone'), m + interval 1 month), getvariable('as_of')) as ends_at
from (
    select unnest(generate_series(
        date_trunc('month', local(min(placed_at))), local(getvariable('as_of')), interval 1 month
    )) as m
    from sale
);

create or replace temp table purchase as -- valid orders of a person in a month
select month, person_id, count(*) as orders, bool_or(place > 1) as is_repeated
from (
    select *, row_number() over (partition by person_id order by placed_at, order_id) as place
    from sale where is_valid
)
group by all;

create or replace temp table feeling as -- of customers, at the last block of each month
select m.person_id, m.at, m.satisfaction, m.is_alive, a.month
from world.mood as m
join (
    select "at", coalesce(month_of("at"), 'all') as month
    from (select distinct "at" from world.mood where happened("at"))
    qualify "at" = max("at") over (partition by month_of("at"))
) as a on m.at = a.at
join customer as c on m.person_id = c.person_id and c.since <= m.at;

-- ---- KPIs that add up: numerator and denominator per thing counted ------------------------------
create or replace temp table observation as
select 'orders' as kpi_id, 'all' as dimension, month, 1::decimal(38, 10) as numerator, null::bigint as denominator
from sale
union all select 'valid_orders', 'all', month, 1, null from sale where is_valid
union all select 'revenue', 'all', month, goods, null from sale where is_valid
union all select 'average_order_value', 'all', month, goods, 1 from sale where is_valid
union all select 'gross_revenue', 'all', month, total, null from sale where is_valid
union all select 'gross_order_value', 'all', month, total, 1 from sale where is_valid
union all select 'refunds', 'by_refund_date', month, amount, null from refunded
union all select 'refunds', 'by_order_date', order_month, amount_at_order, null from refunded
union all select 'net_revenue', 'by_refund_date', month, total, null from sale where is_valid
union all select 'net_revenue', 'by_refund_date', month, -amount, null from refunded where is_valid
union all select 'net_revenue', 'by_order_date', month, total, null from sale where is_valid
union all select 'net_revenue', 'by_order_date', order_month, -amount_at_order, null from refunded where is_valid
union all
select 'late_delivery_rate', 'all', month_of(delivered_at), (delivered_at > promised_at)::int, 1
from sale where is_valid and delivered_at is not null and promised_at is not null
union all select 'new_customers', 'all', month_of(since), 1, null from customer
union all select 'cart_abandonment_rate', dimension, month, (not is_bought)::int, 1 from basket
union all
select 'cart_recovery_rate', dimension, month, is_bought::int, 1
from basket where not is_bought_at_once and dimension <> '1h'
union all
select 'win_rate', 'all', stage_month, (stage = 'won')::int, 1
from deal where kind = 'opportunity' and stage in ('won', 'lost')
union all
select 'ad_spend', 'all', strftime(s.day, '%Y-%m'), s.amount * r.to_eur, null
from world.ad_spend as s asof join rate as r on s.currency = r.currency and s.day >= r.day
where s.day < local(getvariable('as_of'))::date
union all select 'leads', 'all', month, 1, null from deal where from_opportunity_id is null
union all
select
    'lead_to_deal_conversion', 'all', d.month,
    (
        (d.kind = 'opportunity' and d.stage = 'won') or d.opportunity_id in (
            select from_opportunity_id from deal where stage = 'won' and from_opportunity_id is not null
        )
    )::int, 1
from deal as d where d.from_opportunity_id is null
union all select 'tickets', 'all', month, 1, null from request
union all
select 'first_reply_hours', 'all', month, date_diff('second', created_at, first_reply_at) / 3600.0, 1
from request where first_reply_at is not null and not is_merged
union all
select 'reopen_rate', 'all', month, (reopens > 0)::int, 1 from request where solves > 0 and not is_merged
union all
select 'one_touch_rate', 'all', month, (replies = 1)::int, 1
from request where status in ('solved', 'closed') and not is_merged
union all select 'ticket_satisfaction', 'all', month, (rating = 'good')::int, 1 from request where rating is not null
union all
select kind, 'answered', month, scored(kind, scale_min, scale_max, score), 1
from answer where score is not null and scored(kind, scale_min, scale_max, score) is not null
union all -- what everybody asked would have said, answered or not
select kind, 'felt', month, scored(kind, scale_min, scale_max, felt_score), 1
from invited where felt_score is not null and scored(kind, scale_min, scale_max, felt_score) is not null
union all -- who began and gave no score has not answered
select 'survey_responses', 'all', month, 1, null from answer where score is not null
union all
select kind || '_responses', 'all', month, 1, null
from answer where score is not null and kind in ('nps', 'csat', 'ces')
union all
select 'csat_per_order', 'all', month, scored(kind, scale_min, scale_max, score), 1
from answer
where kind = 'csat' and order_id is not null and score is not null and scored(kind, scale_min, scale_max, score) is not null
union all
select r.kpi_id, d.dimension, month, (outcome = 'complete' or (r.with_partial and outcome = 'partial'))::int, 1
from invited
cross join (
    values ('response_rate_1', false, true), ('response_rate_2', true, true),
        ('response_rate_5', false, false), ('response_rate_6', true, false)
) as r(kpi_id, with_partial, with_unknown)
cross join lateral (select unnest(['all', invited.kind])) as d(dimension)
where r.with_unknown or outcome <> 'unknown'
union all select 'emails_sent', 'all', month, 1, null from mail where dimension = 'people'
union all select 'email_delivery_rate', 'all', month, is_delivered::int, 1 from mail where dimension = 'people'
union all select 'email_open_rate', dimension, month, opened::int, 1 from mail where is_delivered
union all select 'email_click_rate', dimension, month, clicked::int, 1 from mail where is_delivered
union all -- of those opened; a click that no open tells of has opened it too
select 'email_click_to_open_rate', dimension, month, clicked::int, 1
from mail where is_delivered and (opened or clicked)
union all
select 'email_unsubscribe_rate', 'all', month, unsubscribed::int, 1 from mail where is_delivered and dimension = 'people'
union all
select 'review_rating', 'all', month_of("at"), rating, 1
from world.review semi join people on review.person_id = people.person_id where happened("at")
union all
select 'satisfaction', d.dimension, month, satisfaction::decimal(18, 6), 1
from feeling cross join (values ('all'), ('alive')) as d(dimension)
where d.dimension = 'all' or is_alive;

-- ---- every KPI --------------------------------------------------------------------------------
create or replace temp table kpis as
with
added as (
    select
        kpi_id, coalesce(month, 'all') as period, dimension,
        sum(numerator)::double as numerator, sum(denominator)::double as denominator, count(*) as n
    from observation
    group by grouping sets ((kpi_id, dimension, month), (kpi_id, dimension))
    -- how people feel is a state: the sum of its months means nothing
    having not (kpi_id = 'satisfaction' and month is null)
),
counted as (
    select 'customers' as kpi_id, p.month as period, 'all' as dimension, count(c.person_id)::double as numerator,
        null::double as denominator, count(c.person_id) as n
    from period as p left join customer as c on c.since < p.ends_at or c.since = getvariable('as_of')
    group by p.month
    union all select 'customers', 'all', 'all', count(*), null, count(*) from customer
    union all select 'active_customers', month, 'all', count(*), null, count(*) from purchase group by month
    union all
    select 'active_customers', 'all', 'last_365_days', count(distinct person_id), null, count(distinct person_id)
    from sale where is_valid and placed_at > getvariable('as_of') - interval 365 day
    union all
    select 'repeat_customers', month, 'all', count(*), null, count(*) from purchase where is_repeated group by month
    union all
    select 'repeat_customers', 'all', 'all', count(*), null, count(*)
    from (select person_id from purchase group by person_id having sum(orders) > 1)
    union all
    select 'repeat_purchase_rate', coalesce(month, 'all'), 'all', sum((orders > 1)::int), count(*), count(*)
    from (
        select month, person_id, sum(orders) as orders
        from purchase group by grouping sets ((month, person_id), (person_id))
    ) group by month
    union all
    select 'churn_rate', p.month, 'all',
        count(*) filter (exists (
            select 1 from parting as x
            where x.person_id = c.person_id and x.churned_at >= p.begins_at and x.churned_at < p.ends_at
        )),
        count(*), count(*)
    from period as p
    join customer as c on c.since < p.begins_at
    where not exists (
        select 1 from parting as x
        where x.person_id = c.person_id and x.churned_at < p.begins_at
            and (x.returned_at is null or x.returned_at >= p.begins_at)
    )
    group by p.month
    union all
    select 'churn_rate', 'all', 'all', count(*) filter (exists (
        select 1 from parting as x where x.person_id = c.person_id and x.returned_at is null
    )), count(*), count(*)
    from customer as c having count(*) > 0
    union all
    select 'pipeline_value', 'all', d.dimension,
        sum(amount * case d.dimension when 'weighted' then probability else 1 end), null, count(*)
    from deal cross join (values ('all'), ('weighted')) as d(dimension)
    where kind = 'opportunity' and stage not in ('won', 'lost')
    group by d.dimension
    union all
    select 'satisfaction', 'all', d.dimension, sum(satisfaction::decimal(18, 6)), count(*), count(*)
    from feeling cross join (values ('all'), ('alive')) as d(dimension)
    where (d.dimension = 'all' or is_alive) and "at" = (select max("at") from feeling)
    group by d.dimension
),
replied as (
    select coalesce(month, 'all') as period, count(*) as n,
        quantile_cont(minutes, 0.5) as median, quantile_cont(minutes, 0.9) as p90
    from (
        select month, date_diff('second', created_at, first_reply_at) / 60.0 as minutes
        from request where first_reply_at is not null and not is_merged
    ) group by grouping sets ((month), ())
    having count(*) > 0
),
-- Kaplan-Meier: how long until a ticket is solved for good; those not solved are still waiting
waits as (
    select p.period, w.minutes, count(*) filter (w.ends) as ends, count(*) as leaves
    from (
        select
            month, status in ('solved', 'closed') and solved_at is not null as ends,
            date_diff('second', created_at, case
                when status in ('solved', 'closed') and solved_at is not null then solved_at
                else getvariable('as_of')
            end) / 60.0 as minutes
        from request where not is_merged
    ) as w
    cross join lateral (select unnest(['all', w.month])) as p(period)
    group by all
),
survival as (
    select period, minutes, product(1 - ends / at_risk) over (partition by period order by minutes) as share
    from (
        select *, sum(leaves) over (partition by period order by minutes desc) as at_risk from waits
    )
),
resolved as (
    select w.period, s.median, w.solved, w.n
    from (
        select period, sum(ends)::double as solved, sum(leaves)::bigint as n from waits group by period
    ) as w
    left join (
        -- a hair above one half: the product of binary fractions may miss it
        select period, min(minutes) as median from survival where share <= 0.5 + 1e-12 group by period
    ) as s using (period)
)
select
    kpi_id, period, dimension,
    case when kpi_id = 'nps' then 100 else 1 end
        * case
            when denominator is not null or kpi_id = 'churn_rate' then numerator / nullif(denominator, 0)
            else numerator
        end as value,
    numerator, denominator, n
from (from added union all from counted)
union all select 'first_reply_minutes', period, 'median', median, null, null, n from replied
union all select 'first_reply_minutes', period, 'p90', p90, null, null, n from replied
union all select 'full_resolution_minutes', period, 'median', median, solved, null, n from resolved;

-- ---- who is who, where people are, what they say, who goes ---------------------------------------
create or replace temp table clusters as
with newest as (
    select * from world.record where happened(changed_at)
    qualify row_number() over (partition by record_id order by version desc) = 1
)
select
    'record' as kind, r.vendor, r.object, r.external_id, r.record_id, r.person_id, p.kind as person_kind,
    r.noise, r.state, m.external_id as merged_into
from newest as r
left join world.person as p using (person_id)
left join newest as m on r.merged_into = m.record_id
union all
select
    'device', 'segment', 'device', d.device_id, null, d.person_id, p.kind,
    case when d.is_shared then ['shared_device'] else [] end, 'live', null
from world.device as d left join world.person as p using (person_id)
where happened(d.first_seen_at)
union all
select
    'guest_order', 'shopify', 'order', o.order_id::varchar, null, o.person_id, p.kind,
    [], 'live', null
from world.orders as o left join world.person as p using (person_id)
where o.record_id is null and happened(o.placed_at);

create or replace temp table stages as -- written when a span begins, again when it ends
select
    person_id, stage, entered_at,
    max(left_at) filter (happened(left_at)) as left_at,
    arg_max(cause, left_at) filter (happened(left_at)) as cause
from world.stage where happened(entered_at)
group by person_id, stage, entered_at;

create or replace temp table voices as
select 'message' as source_kind, message_id as id, sentiment, topic, emotion, competitor, language
from world.message
where author = 'customer' and body is not null and sentiment is not null and happened("at")
union all
select 'survey_comment', response_id, sentiment, topic, emotion, competitor, language
from world.survey_response
where comment is not null and happened(coalesce(completed_at, recorded_at)) and not happened(deleted_at)
union all
select 'review', review_id, sentiment, topic, emotion, competitor, language
from world.review where body is not null and happened("at");

create or replace temp table churn as -- of customers; null: the story is not yet told so far
with
now as (
    select person_id, max(churned_at) as churned_at, arg_max(cause, churned_at) as cause
    from parting where returned_at is null group by person_id
),
next as (
    select person_id, min(churned_at) as churned_at
    from world.churn
    where churned_at > getvariable('as_of') and churned_at <= getvariable('as_of') + interval 90 day
    group by person_id
),
told as (
    select coalesce(max("at") >= getvariable('as_of') + interval 90 day, false) as is_told from world.mood
)
select
    c.person_id, n.person_id is not null as has_churned, n.churned_at, n.cause,
    case
        when n.person_id is not null then null
        when x.person_id is not null then true
        when told.is_told then false
    end as will_churn, x.churned_at as churns_at
from customer as c
cross join told
left join now as n using (person_id)
left join next as x using (person_id);
