{{ stage_concept('survey_response', 'survey_responses') }}
