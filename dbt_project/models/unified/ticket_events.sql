{{ current_records([ref('stg_exports__ticket_events')]) }}
