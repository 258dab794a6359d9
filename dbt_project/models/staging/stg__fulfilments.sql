{{ stage_concept('fulfilment', 'fulfilments') }}
