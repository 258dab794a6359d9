{{ stage_concept('ticket_metric_set', 'ticket_metric_sets') }}
