{{ stage_concept('cart', 'carts') }}
