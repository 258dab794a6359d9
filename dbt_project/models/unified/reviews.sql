{{ current_records('review', [ref('stg_exports__reviews')]) }}
