{{ stage_exports('web_event', 'web_events') }}
