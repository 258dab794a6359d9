{{ stage_exports('survey_response', 'survey_responses') }}
