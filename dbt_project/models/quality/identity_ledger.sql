{#- What has happened to customer ids: what the lake has, and what this build adds with the touches that moved. Those
    are counted once, by the build that moves them, and kept with the event. -#}
with moved as (
    select previous_customer_id as from_id, customer_id as to_id, record_key
    from {{ ref('int_identity__assignments') }}
    where previous_customer_id <> customer_id
),

touched as (
    select moved.from_id, moved.to_id, count(*) as touches
    from {{ ref('int_journey__touches') }} as touches
    inner join moved on touches.person_ref = moved.record_key
    where touches.occurred_at is not null
    group by moved.from_id, moved.to_id
)

select * from {{ ref('int_identity__ledger') }}
union all by name
select
    events.*,
    case when events.kind in ('merge', 'split', 'move') then coalesce(touched.touches, 0) end as touches
from {{ ref('int_identity__events') }} as events
left join touched on events.from_id = touched.from_id and events.to_id = touched.to_id
where events.event_id not in (select event_id from {{ ref('int_identity__ledger') }})
