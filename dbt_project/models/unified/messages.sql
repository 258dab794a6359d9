{{ current_records(ref('stg__messages')) }}
