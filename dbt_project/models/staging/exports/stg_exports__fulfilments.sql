{{ stage_exports('fulfilment', 'fulfilments') }}
