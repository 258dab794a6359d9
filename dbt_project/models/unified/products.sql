{{ current_records(ref('stg__products')) }}
