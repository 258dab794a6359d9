with records as (
    select * from {{ ref('int_identity__person_records') }}
),

assignments as (
    select * from {{ ref('int_identity__assignments') }}
),

identifiers as (
    select
        *,
        count(*) over (partition by identifier_type, identifier_value) as sharing_records
    from {{ ref('int_identity__ties') }}
),

-- an identifier explains a record's membership when another record of the same customer has it too
shared as (
    select identifiers.identifier_type, identifiers.identifier_value, assignments.customer_id
    from identifiers
    inner join assignments on identifiers.record_key = assignments.record_key
    where identifiers.sharing_records > 1
    group by all
    having count(distinct identifiers.record_key) > 1
),

rules as (
    select
        identifiers.record_key,
        arg_max(identifiers.identifier_type, identifiers.strength) as rule
    from identifiers
    inner join assignments on identifiers.record_key = assignments.record_key
    inner join shared
        on
            identifiers.identifier_type = shared.identifier_type
            and identifiers.identifier_value = shared.identifier_value
            and assignments.customer_id = shared.customer_id
    group by identifiers.record_key
),

final as (
    select
        records.record_key,
        assignments.customer_id,
        records.source,
        records.record_type,
        records.source_record_id,
        coalesce(rules.rule, 'single') as rule,
        assignments.assigned_at as since
    from records
    inner join assignments on records.record_key = assignments.record_key
    left join rules on records.record_key = rules.record_key
)

select {{ contract_columns() }} from final
