{{ stage_concept('loyalty_event', 'loyalty_events') }}
