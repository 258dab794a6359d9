{#- In what form every record has been scored: what the next build need not score again. -#}
select
    people.record_key,
    people.form_hash,
    models.scored_with
from {{ ref('int_identity__comparable') }} as people
cross join {{ ref('int_identity__match_model') }} as models
-- not before its pairs are there
where (select count(*) >= 0 from {{ ref('int_identity__scored_pairs') }})
