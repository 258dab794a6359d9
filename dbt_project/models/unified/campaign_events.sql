{{ current_records([ref('stg_exports__campaign_events')]) }}
