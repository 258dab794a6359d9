{{ stage_concept('exchange_rate', 'exchange_rates') }}
