{{ stage_exports('survey', 'surveys') }}
