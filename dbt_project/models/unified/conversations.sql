{{ current_records(ref('stg__conversations')) }}
