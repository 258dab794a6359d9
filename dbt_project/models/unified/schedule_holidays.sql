{{ current_records(ref('stg__schedule_holidays')) }}
