{{ current_records(ref('stg__loyalty_events')) }}
