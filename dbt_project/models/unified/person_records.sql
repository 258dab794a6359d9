{#- A record that was merged into another stays: what still names it leads to the other. -#}
{{ current_records(ref('stg__person_records'), keep='not is_deleted or merged_into_id is not null') }}
