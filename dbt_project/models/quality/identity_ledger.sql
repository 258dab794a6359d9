select * from {{ ref('int_identity__ledger') }}
union all by name
select * from {{ ref('int_identity__events') }}
where event_id not in (select event_id from {{ ref('int_identity__ledger') }})
