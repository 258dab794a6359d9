{{ stage_concept('account', 'accounts') }}
