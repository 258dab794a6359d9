{{ stage_concept('consent_event', 'consent_events') }}
