{{ stage_exports('order_line', 'order_lines') }}
