{{ stage_exports('order', 'orders') }}
