{{ current_records([ref('stg_exports__exchange_rates')]) }}
