{{ stage_concept('web_event', 'web_events') }}
