{{ config(tags=['macro_vectors']) }}
-- Known answers: Rogan and Gladen, Kish, the shrunk rating, the difference of two NPS, a rank correlation.
{% set before, after = answer_variance('30.0', '70', '100'), answer_variance('45.0', '75', '100') %}
with vectors as (
    {#- 30 % found by a classifier right on 90 % of those with and 80 % of those without: 0.1 / 0.7 #}
    select 'true share' as what, {{ true_share('0.3', '0.9', '0.8') }} as got, 0.142857 as expected
    union all
    select 'true share below 0', {{ true_share('0.1', '0.9', '0.8') }}, 0
    union all
    select 'true share above 1', {{ true_share('0.99', '0.9', '0.8') }}, 1
    union all
    select 'true share of a perfect classifier', {{ true_share('0.3', '1', '1') }}, 0.3
    union all
    select 'true share of a useless one', coalesce({{ true_share('0.3', '0.5', '0.5') }}, -1), -1
    union all
    select 'kish', {{ kish_n('100.0', '535.0') }}, 18.691589
    union all
    select 'kish of equal weights', {{ kish_n('30.0', '30.0') }}, 30
    union all
    select 'shrunk', {{ shrunk_mean('10.0', '2', '4.2', '10') }}, 4.333333
    union all
    select
        'difference of NPS',
        100 * {{ difference_margin(before, '100', after, '100') }},
        21.1
    union all
    select
        'z of the difference',
        {{ z() }} * 0.15
        / {{ difference_margin(before, '100', after, '100') }},
        1.39
    union all
    {#- (1.96 + 0.8416) x sqrt(2 x 0.61 / 100) #}
    select 'detectable', 100 * {{ minimum_detectable_change(before, '100') }}, 30.945
    union all
    {#- tanh(atanh(-0.5) +- 1.959964 x sqrt(1.125 / 47)) #}
    select 'rank correlation, low', {{ spearman_bound('-0.5', '50', 'low') }}, -0.6924
    union all
    select 'rank correlation, high', {{ spearman_bound('-0.5', '50', 'high') }}, -0.2412
)

select * from vectors
where got is null or abs(got - expected) > case when expected in (21.1, 1.39) then 0.05 else 0.0005 end
