{{ current_records([ref('stg_exports__ad_spend')]) }}
