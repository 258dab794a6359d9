{{ current_records('ticket_event', [ref('stg_exports__ticket_events')]) }}
