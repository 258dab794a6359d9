{{ stage_exports('person_record', 'person_records') }}
