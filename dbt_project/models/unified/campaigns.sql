{{ current_records(ref('stg__campaigns')) }}
