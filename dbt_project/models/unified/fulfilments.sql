{{ current_records(ref('stg__fulfilments')) }}
