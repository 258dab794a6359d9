{{ current_records(ref('stg__opportunity_stage_events')) }}
