{#- Records that have not been scored in their present form, by the present model, preset and rules. -#}
with compared as (
    {{ compared_before() }}
),

people as (
    select
        people.record_key,
        people.form_hash,
        models.scored_with
    from {{ ref('int_identity__comparable') }} as people
    cross join {{ ref('int_identity__match_model') }} as models
)

select people.*
from people
left join compared
    on
        people.record_key = compared.record_key
        and people.form_hash = compared.form_hash
        and people.scored_with = compared.scored_with
where compared.record_key is null
