{{ stage_concept('payment', 'payments') }}
