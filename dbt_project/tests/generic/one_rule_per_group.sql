{% test one_rule_per_group(model) %}
select attribute_group
from {{ model }}
group by attribute_group
having count(distinct rule) > 1
{% endtest %}
