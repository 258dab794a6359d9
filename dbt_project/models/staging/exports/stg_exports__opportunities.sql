{{ stage_exports('opportunity', 'opportunities') }}
