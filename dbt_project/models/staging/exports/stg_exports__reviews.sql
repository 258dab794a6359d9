{{ stage_exports('review', 'reviews') }}
