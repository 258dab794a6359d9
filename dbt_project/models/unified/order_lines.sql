{{ current_records(ref('stg__order_lines')) }}
