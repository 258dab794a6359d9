{{ stage_concept('product', 'products') }}
