{{ current_records('referral', [ref('stg_exports__referrals')]) }}
