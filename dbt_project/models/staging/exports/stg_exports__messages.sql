{{ stage_exports('message', 'messages') }}
