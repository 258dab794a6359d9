{{ stage_concept('survey_choice', 'survey_choices') }}
