{{ stage_exports('account', 'accounts') }}
