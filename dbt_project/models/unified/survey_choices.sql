{{ current_records(ref('stg__survey_choices')) }}
