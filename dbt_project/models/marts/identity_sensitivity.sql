{#- Every KPI that counts people, under three identities: how much of a figure is identity resolution. Internal
    people are those of the identity in use, so that the three differ in nothing but who is who. Whether a KPI counts
    people is what the level of its contract says; of those that are not worked out again here no difference is known. -#}
{% set shares = {
    'repeat_purchase_rate': ('repeat_buyers', 'customers'), 'orders_per_customer': ('valid_orders', 'customers'),
    'revenue_per_customer': ('revenue', 'customers'), 'customers_with_ticket': ('ticketed', 'customers'),
    'nps_one_voice': ('100 * net_promoters', 'voices'),
} %}
{% set counts = {
    'customers': 'customers', 'active_customers': 'customers', 'new_customers': 'new_customers',
    'repeat_customers': 'repeat_customers',
} %}
with identities as (
    select * from {{ ref('int_identity__alternatives') }}
),

internal as (
    select customer_id from {{ ref('customer_360') }} where is_test or is_employee
),

placed as (
    select orders.order_key, {{ person_reference(email='email') }} as record_key
    from {{ ref('orders') }} as orders
),

asked as (
    select ticket_key, {{ person_reference(email='email') }} as record_key from {{ ref('tickets') }}
),

-- an answer is whose it says, else of who placed the order, else of who wrote the ticket
answered as (
    select
        answers.source || ':' || answers.response_id as response_key,
        min(coalesce(
            {{ person_reference(key='answers.person_record_key') }},
            {{ guest_key('answers.email', 'answers.source') }},
            placed.record_key,
            asked.record_key
        )) as record_key
    from {{ ref('int_survey__responses') }} as answers
    left join placed on answers.order_key = placed.order_key
    left join asked on answers.ticket_key = asked.ticket_key
    group by all
),

orders as (
    select
        identities.identity,
        identities.person,
        facts.order_key,
        facts.ordered_on,
        facts.revenue_reporting,
        row_number() over (
            partition by identities.identity, identities.person order by facts.ordered_at, facts.order_key
        ) as order_number
    from {{ ref('fct_orders') }} as facts
    inner join placed on facts.order_key = placed.order_key
    inner join identities on placed.record_key = identities.record_key
    anti join internal on facts.customer_id = internal.customer_id
    where facts.is_valid
),

-- as int_commerce__active_customers has it, with the span after which the identity in use calls customers lost
purchases as (
    select
        identity,
        person,
        ordered_on,
        lead(ordered_on) over (partition by identity, person order by order_number) as next_on
    from orders
),

lapsed as (
    select max(lapsed_after_days) as days from {{ ref('customer_retention') }}
),

actives as (
    select purchases.identity, purchases.person, cast(boundaries.boundary as date) as month_start
    from purchases
    cross join lapsed,
        unnest(generate_series(
            date_trunc('month', purchases.ordered_on) + interval 1 month,
            cast(least(
                coalesce(purchases.next_on, {{ reporting_date(as_of()) }}),
                purchases.ordered_on + cast(lapsed.days as integer)
            ) as timestamp),
            interval 1 month
        )) as boundaries (boundary)
),

retained as (
    select actives.identity, actives.month_start, count(*) as at_start, count(later.person) as kept
    from actives
    left join actives as later
        on
            actives.identity = later.identity
            and actives.person = later.person
            and later.month_start = actives.month_start + interval 1 month
    group by actives.identity, actives.month_start
),

bought as (
    select *, {{ sensitivity_periods('ordered_on') }} as period from orders
),

buyers as (
    select
        identity,
        period,
        person,
        count(*) as valid_orders,
        sum(revenue_reporting) as revenue,
        min(order_number) = 1 as is_new,
        max(order_number) > 1 as is_repeat
    from bought
    where period is not null
    group by identity, period, person
),

asking as (
    select identities.identity, identities.person, {{ sensitivity_periods('facts.created_on') }} as period
    from {{ ref('fct_tickets') }} as facts
    inner join asked on facts.ticket_key = asked.ticket_key
    inner join identities on asked.record_key = identities.record_key
    where not coalesce(facts.is_merged, false)
),

askers as (
    select distinct identity, period, person from asking where period is not null
),

speaking as (
    select
        identities.identity,
        identities.person,
        facts.nps_group,
        facts.responded_at,
        facts.response_key,
        {{ sensitivity_periods('facts.responded_on') }} as period
    from {{ ref('fct_survey_responses') }} as facts
    inner join answered on facts.response_key = answered.response_key
    inner join identities on answered.record_key = identities.record_key
    anti join internal on facts.customer_id = internal.customer_id
    where facts.nps_group is not null
),

-- one voice: the last answer of a person in the period
voices as (
    select identity, period, person, arg_max(nps_group, (responded_at, response_key)) as nps_group
    from speaking
    where period is not null
    group by identity, period, person
),

spoken as (
    select
        identity,
        period,
        count(*) as voices,
        count(*) filter (where nps_group = 'promoter') - count(*) filter (where nps_group = 'detractor')
            as net_promoters
    from voices
    group by identity, period
),

totals as (
    select
        buyers.identity,
        buyers.period,
        count(*) as customers,
        count(*) filter (where buyers.is_new) as new_customers,
        count(*) filter (where buyers.is_repeat) as repeat_customers,
        count(*) filter (where buyers.valid_orders >= 2) as repeat_buyers,
        sum(buyers.valid_orders) as valid_orders,
        sum(buyers.revenue) as revenue,
        count(askers.person) as ticketed
    from buyers
    left join askers
        on
            buyers.identity = askers.identity
            and buyers.period = askers.period
            and buyers.person = askers.person
    group by buyers.identity, buyers.period
),

periods as (
    select unnest(['all', 'last 12 months']) as period
    union
    select period from buyers
    union
    select period from spoken
),

figures as (
    select
        identities.identity,
        periods.period,
        coalesce(totals.customers, 0) as customers,
        coalesce(totals.new_customers, 0) as new_customers,
        coalesce(totals.repeat_customers, 0) as repeat_customers,
        totals.repeat_buyers,
        totals.valid_orders,
        totals.revenue,
        totals.ticketed,
        spoken.voices,
        spoken.net_promoters
    from (select distinct identity from identities) as identities
    cross join periods
    left join totals on identities.identity = totals.identity and periods.period = totals.period
    left join spoken on identities.identity = spoken.identity and periods.period = spoken.period
),

measured as (
    {% for kpi, people in counts.items() %}
    select
        '{{ kpi }}' as kpi_id, identity, period,
        cast({{ people }} as double) as value, cast({{ people }} as double) as numerator,
        cast(null as double) as denominator
    from figures
    union all
    {% endfor %}
    {% for kpi, (numerator, denominator) in shares.items() %}
    select
        '{{ kpi }}' as kpi_id, identity, period,
        cast({{ numerator }} as double) / nullif({{ denominator }}, 0) as value,
        cast({{ numerator }} as double) as numerator, cast({{ denominator }} as double) as denominator
    from figures
    union all
    {% endfor %}
    select
        'cac_blended' as kpi_id, figures.identity, figures.period,
        cast(media.media_reporting as double) / nullif(figures.new_customers, 0) as value,
        cast(media.media_reporting as double) as numerator, cast(figures.new_customers as double) as denominator
    from figures
    inner join {{ ref('unit_economics') }} as media
        on figures.period = strftime(media.month_start, '%Y-%m') and media.cac_blended is not null
    union all by name
    select
        'retention_rate' as kpi_id, retained.identity, strftime(retained.month_start, '%Y-%m') as period,
        retained.kept / retained.at_start as value,
        retained.kept as numerator, retained.at_start as denominator
    from retained
    inner join {{ ref('customer_retention') }} as months
        on retained.month_start = months.month_start and months.retention_rate is not null
    union all by name
    select kpi_id, identity, period, value, numerator, denominator
    from {{ ref('int_marketing__visitors_by_identity') }}
),

final as (
    select
        kpi_id,
        period,
        identity,
        true as depends_on_identity,
        value,
        numerator,
        denominator,
        value - max(value) filter (where identity = 'default') over (partition by kpi_id, period) as difference
    from measured
    union all
    -- what counts orders, tickets or answers, whoever they are of; and people who are not counted again here
    select
        figures.kpi_id,
        'all' as period,
        case when kpis.level = 'none' then 'any' else 'not measured' end as identity,
        kpis.level <> 'none' as depends_on_identity,
        figures.value,
        figures.numerator,
        figures.denominator,
        case when kpis.level = 'none' then 0 end as difference
    from {{ ref('kpi_values') }} as figures
    inner join {{ ref('kpis') }} as kpis on figures.kpi_id = kpis.kpi_id
    where
        figures.period_grain = 'all'
        and figures.dimension = 'all'
        and figures.kpi_id not in (select kpi_id from measured)
)

select {{ contract_columns() }} from final
