{{ stage_concept('opportunity', 'opportunities') }}
