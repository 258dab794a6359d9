{{ current_records(ref('stg__opportunities')) }}
