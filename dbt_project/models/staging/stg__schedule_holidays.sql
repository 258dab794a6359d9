{{ stage_concept('schedule_holiday', 'schedule_holidays') }}
