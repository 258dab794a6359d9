{{ stage_concept('conversation', 'conversations') }}
