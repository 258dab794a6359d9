{{ current_records('survey_invitation', [ref('stg_exports__survey_invitations')]) }}
