{{ stage_exports('loyalty_event', 'loyalty_events') }}
