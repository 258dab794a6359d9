{{ current_records('campaign', [ref('stg_exports__campaigns')]) }}
