{{ current_records(ref('stg__campaign_events')) }}
