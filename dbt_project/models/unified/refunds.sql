{{ current_records(ref('stg__refunds')) }}
