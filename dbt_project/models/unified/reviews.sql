{{ current_records(ref('stg__reviews')) }}
