{{ current_records('loyalty_event', [ref('stg_exports__loyalty_events')]) }}
