{#- How long customers take to come back: of every purchase on another day than the one before it. -#}
select
    count(*) as gaps,
    quantile_disc(gap_days, 0.5) as median_gap_days,
    quantile_disc(gap_days, 0.9) as lapsed_after_days
from {{ ref('int_commerce__purchases') }}
where gap_days > 0
