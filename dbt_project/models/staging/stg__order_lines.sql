{{ stage_concept('order_line', 'order_lines') }}
