{{ current_records('order_line', [ref('stg_exports__order_lines')]) }}
