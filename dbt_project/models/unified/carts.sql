{{ current_records('cart', [ref('stg_exports__carts')]) }}
