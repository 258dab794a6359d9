{{ stage_concept('referral', 'referrals') }}
