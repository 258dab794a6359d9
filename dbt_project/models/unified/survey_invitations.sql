{{ current_records([ref('stg_exports__survey_invitations')]) }}
