{{ stage_exports('consent_event', 'consent_events') }}
