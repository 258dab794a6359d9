{{ stage_concept('survey_submission', 'survey_submissions') }}
