{{ stage_exports('category', 'categories') }}
