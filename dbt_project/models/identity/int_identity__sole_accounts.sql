{#- Records of sources in which a person has one account: two of them are one person only if merged there. -#}
{% set sources = plan().get('identity', {}).get('one_account_in', []) %}
select record_key, source as namespace, source_record_id as account
from {{ ref('int_identity__person_records') }}
where
    record_type = 'person_record'
    and merged_into_id is null
    and source in ({% for s in sources %}'{{ s }}', {% endfor %}'')
