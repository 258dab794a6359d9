{{ current_records(ref('stg__employees')) }}
