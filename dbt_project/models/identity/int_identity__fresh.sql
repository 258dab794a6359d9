{#- Records that have not been scored in their present form, by the present model and preset. -#}
{% set compared = adapter.get_relation(this.database, this.schema, 'int_identity__compared') if execute %}
select
    people.record_key,
    people.form_hash,
    md5(models.model || settings.preset) as scored_with
from {{ ref('int_identity__comparable') }} as people
cross join {{ ref('int_identity__match_model') }} as models
cross join {{ ref('int_identity__settings') }} as settings
{% if compared %}
where (people.record_key, people.form_hash, md5(models.model || settings.preset)) not in (
    select (record_key, form_hash, scored_with) from {{ compared }}
)
{% endif %}
