{{ stage_concept('schedule_interval', 'schedule_intervals') }}
