{{ current_records('person_record', [ref('stg_exports__person_records')]) }}
