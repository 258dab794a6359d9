{{ stage_exports('survey_invitation', 'survey_invitations') }}
