{{ current_records('web_event', [ref('stg_exports__web_events')]) }}
