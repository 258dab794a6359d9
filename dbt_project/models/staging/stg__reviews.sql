{{ stage_concept('review', 'reviews') }}
