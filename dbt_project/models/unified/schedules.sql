{{ current_records(ref('stg__schedules')) }}
