{{ stage_concept('survey_answer', 'survey_answers') }}
