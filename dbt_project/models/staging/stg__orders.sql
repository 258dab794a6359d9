{{ stage_concept('order', 'orders') }}
