{{ stage_exports('conversation', 'conversations') }}
