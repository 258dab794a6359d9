{{ current_records([ref('stg_exports__web_events')]) }}
