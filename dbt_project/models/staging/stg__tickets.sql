{{ stage_concept('ticket', 'tickets') }}
