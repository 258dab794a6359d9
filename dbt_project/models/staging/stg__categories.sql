{{ stage_concept('category', 'categories') }}
