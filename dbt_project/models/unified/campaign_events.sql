{{ current_records('campaign_event', [ref('stg_exports__campaign_events')]) }}
