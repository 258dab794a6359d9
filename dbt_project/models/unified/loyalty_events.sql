{{ current_records([ref('stg_exports__loyalty_events')]) }}
