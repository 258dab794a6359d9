select * from {{ ref('load_accounts') }} where accepted + quarantined <> received
