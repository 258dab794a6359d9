{{ current_records('ticket', [ref('stg_exports__tickets')]) }}
