{{ current_records('survey_response', [ref('stg_exports__survey_responses')]) }}
