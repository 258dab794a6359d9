{{ current_records('fulfilment', [ref('stg_exports__fulfilments')]) }}
