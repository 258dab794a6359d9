{{ stage_exports('ticket_event', 'ticket_events') }}
