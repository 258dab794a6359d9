{{ stage_concept('campaign_event', 'campaign_events') }}
