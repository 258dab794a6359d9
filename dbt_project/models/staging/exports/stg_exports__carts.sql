{{ stage_exports('cart', 'carts') }}
