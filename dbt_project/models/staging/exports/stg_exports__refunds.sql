{{ stage_exports('refund', 'refunds') }}
