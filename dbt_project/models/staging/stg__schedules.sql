{{ stage_concept('schedule', 'schedules') }}
