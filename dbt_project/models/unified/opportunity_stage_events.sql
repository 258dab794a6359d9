{{ current_records('opportunity_stage_event', [ref('stg_exports__opportunity_stage_events')]) }}
