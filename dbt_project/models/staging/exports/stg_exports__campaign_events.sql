{{ stage_exports('campaign_event', 'campaign_events') }}
