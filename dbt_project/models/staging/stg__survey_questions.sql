{{ stage_concept('survey_question', 'survey_questions') }}
