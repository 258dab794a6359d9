{{ stage_concept('sla_event', 'sla_events') }}
