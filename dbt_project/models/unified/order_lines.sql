{{ current_records([ref('stg_exports__order_lines')]) }}
