{{ stage_concept('ad_spend', 'ad_spend') }}
