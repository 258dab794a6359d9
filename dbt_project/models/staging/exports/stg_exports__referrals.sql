{{ stage_exports('referral', 'referrals') }}
