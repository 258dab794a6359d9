{{ current_records('exchange_rate', [ref('stg_exports__exchange_rates')]) }}
