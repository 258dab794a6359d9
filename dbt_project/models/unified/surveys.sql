{{ current_records(ref('stg__surveys')) }}
