{{ current_records('order', [ref('stg_exports__orders')]) }}
