{{ stage_concept('survey', 'surveys') }}
