{{ stage_concept('person_record', 'person_records') }}
