{{ stage_concept('survey_invitation', 'survey_invitations') }}
