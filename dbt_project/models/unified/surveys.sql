{{ current_records('survey', [ref('stg_exports__surveys')]) }}
