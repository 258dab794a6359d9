{{ current_records(ref('stg__exchange_rates')) }}
