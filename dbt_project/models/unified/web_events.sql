{{ current_records(ref('stg__web_events')) }}
