{{ current_records('product', [ref('stg_exports__products')]) }}
