{{ current_records(ref('stg__consent_events')) }}
