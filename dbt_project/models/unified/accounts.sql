{{ current_records('account', [ref('stg_exports__accounts')]) }}
