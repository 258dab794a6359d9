{{ current_records([ref('stg_exports__opportunity_stage_events')]) }}
