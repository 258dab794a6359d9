{{ current_records('conversation', [ref('stg_exports__conversations')]) }}
