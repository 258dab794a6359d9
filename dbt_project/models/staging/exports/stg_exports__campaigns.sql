{{ stage_exports('campaign', 'campaigns') }}
