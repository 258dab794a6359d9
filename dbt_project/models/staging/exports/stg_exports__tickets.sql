{{ stage_exports('ticket', 'tickets') }}
