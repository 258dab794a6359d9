{{ stage_concept('ticket_event', 'ticket_events') }}
