{{ current_records(ref('stg__accounts')) }}
