{{ current_records('message', [ref('stg_exports__messages')]) }}
