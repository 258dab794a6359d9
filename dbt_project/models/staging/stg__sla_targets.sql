{{ stage_concept('sla_target', 'sla_targets') }}
