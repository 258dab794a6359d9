{{ current_records('opportunity', [ref('stg_exports__opportunities')]) }}
