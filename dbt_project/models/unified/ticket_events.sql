{{ current_records(ref('stg__ticket_events')) }}
