{{ stage_concept('campaign', 'campaigns') }}
