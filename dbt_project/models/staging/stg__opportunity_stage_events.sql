{{ stage_concept('opportunity_stage_event', 'opportunity_stage_events') }}
