{{ current_records(ref('stg__carts')) }}
