{{ stage_concept('refund', 'refunds') }}
