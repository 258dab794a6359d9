{{ stage_exports('product', 'products') }}
