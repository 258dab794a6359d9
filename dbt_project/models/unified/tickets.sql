{{ current_records(ref('stg__tickets')) }}
