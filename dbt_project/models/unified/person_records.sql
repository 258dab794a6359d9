{{ current_records([ref('stg_exports__person_records')]) }}
