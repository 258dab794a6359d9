{#- Records of sources in which a person has one account: two of them are one person only if merged there, or if
    somebody has decided so: of accounts decided to be one person's the first alone counts. -#}
{% set sources = plan().get('identity', {}).get('one_account_in', []) %}
with accounts as (
    select record_key, source, source_record_id
    from {{ ref('int_identity__person_records') }}
    where
        record_type = 'person_record'
        and merged_into_id is null
        and source in ({% for s in sources %}'{{ s }}', {% endfor %}'')
),

joined as (
    select decisions.right_key as record_key
    from {{ ref('int_identity__decisions') }} as decisions
    inner join accounts as l on decisions.left_key = l.record_key
    inner join accounts as r on decisions.right_key = r.record_key and l.source = r.source
    where decisions.decision = 'merge'
)

select record_key, source as namespace, source_record_id as account
from accounts
where record_key not in (select record_key from joined)
