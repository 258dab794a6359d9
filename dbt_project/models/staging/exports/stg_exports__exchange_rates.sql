{{ stage_exports('exchange_rate', 'exchange_rates') }}
