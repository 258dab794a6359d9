{{ stage_concept('message', 'messages') }}
