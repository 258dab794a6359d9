{{ current_records(ref('stg__sla_events')) }}
