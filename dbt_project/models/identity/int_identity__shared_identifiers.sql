{#- Mailboxes and telephones of two people of one household, as the scores of their records show: they tie nobody.
    A mailbox with a single record that contradicts the others is not shared. -#}
select
    contradictions.identifier_type,
    contradictions.identifier_value,
    count(*) as pairs
from {{ ref('int_identity__contradictions') }} as contradictions
left join {{ ref('int_identity__odd_records') }} as odd
    on
        contradictions.identifier_type = odd.identifier_type
        and contradictions.identifier_value = odd.identifier_value
where odd.record_key is null
group by contradictions.identifier_type, contradictions.identifier_value
