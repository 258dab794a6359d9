{{ current_records(ref('stg__orders')) }}
