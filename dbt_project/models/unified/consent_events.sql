{{ current_records([ref('stg_exports__consent_events')]) }}
