with surveys as (
    select * from {{ ref('surveys') }}
),

ratings as (
    select * from {{ ref('int_survey__ratings') }}
),

final as (
    select
        surveys.* replace (
            coalesce(nullif(surveys.kind, 'other'), ratings.kind, surveys.kind) as kind,
            coalesce(surveys.question, ratings.question) as question,
            coalesce(surveys.scale_min, ratings.scale_min) as scale_min,
            coalesce(surveys.scale_max, ratings.scale_max) as scale_max
        )
    from surveys
    left join ratings on surveys.survey_key = ratings.survey_key
)

select {{ contract_columns() }} from final
