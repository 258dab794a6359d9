{{ stage_exports('ad_spend', 'ad_spend') }}
