{{ current_records('ad_spend', [ref('stg_exports__ad_spend')]) }}
