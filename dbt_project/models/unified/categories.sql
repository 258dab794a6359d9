{{ current_records('category', [ref('stg_exports__categories')]) }}
