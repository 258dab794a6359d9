{{ current_records(ref('stg__referrals')) }}
