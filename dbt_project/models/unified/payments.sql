{{ current_records(ref('stg__payments')) }}
