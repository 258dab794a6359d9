{{ current_records('consent_event', [ref('stg_exports__consent_events')]) }}
