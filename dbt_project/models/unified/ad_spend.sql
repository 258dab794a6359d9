{{ current_records(ref('stg__ad_spend')) }}
