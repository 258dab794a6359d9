{{ stage_exports('opportunity_stage_event', 'opportunity_stage_events') }}
