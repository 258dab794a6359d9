{{ current_records('refund', [ref('stg_exports__refunds')]) }}
