{{ current_records('payment', [ref('stg_exports__payments')]) }}
