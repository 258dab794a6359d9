{#- Records whose person is known, from the file that the configuration names: what accuracy is measured against.
    A record that is given to two people is no answer. -#}
{% set file = plan().get('identity', {}).get('labels') %}
with given as (
    select
        cast(null as varchar) as source,
        cast(null as varchar) as record_id,
        cast(null as varchar) as person,
        cast(null as varchar) as noise
    where false
    {% if file %}
    {% set name = "'" ~ (file | replace("'", "''")) ~ "'" %}
    union all by name
    select * replace (
        cast(source as varchar) as source, cast(record_id as varchar) as record_id, cast(person as varchar) as person
    )
    from {{ 'read_parquet(' ~ name ~ ')' if file.endswith('.parquet') else 'read_csv(' ~ name ~ ', all_varchar = true)' }}
    {% endif %}
)

select
    source || ':' || record_id as record_key,
    min(source) as source,
    min(person) as person,
    md5_number_lower(source || ':' || record_id) as draw,
    list_sort(list_distinct(list_filter(
        flatten(list(string_split_regex(trim(coalesce(cast(noise as varchar), ''), '[] '), '[\s''"]*[,;][\s''"]*'))),
        kind -> kind <> ''
    ))) as noise
from given
where source is not null and record_id is not null and person is not null
group by all
having count(distinct person) = 1
