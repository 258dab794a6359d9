{{ current_records(ref('stg__categories')) }}
