{% set measures = ['precision', 'recall', 'f1', 'bcubed_precision', 'bcubed_recall', 'bcubed_f1'] %}
with final as (
    {% for measure in measures %}
    select
        method,
        dimension,
        dimension_value,
        '{{ measure }}' as measure,
        {{ measure }} as value,
        {{ measure }}_low as ci_low,
        {{ measure }}_high as ci_high,
        records,
        called_pairs,
        true_pairs,
        right_pairs
    from {{ ref('int_identity__accuracy') }}
    where {{ measure }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select {{ contract_columns() }} from final
