{{ current_records([ref('stg_exports__messages')]) }}
