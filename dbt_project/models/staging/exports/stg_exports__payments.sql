{{ stage_exports('payment', 'payments') }}
