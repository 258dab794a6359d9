select
    bridge.response_key,
    bridge.order_key,
    bridge.customer_id,
    bridge.responded_on,
    bridge.is_satisfied,
    responses.source
from {{ ref('bridge_survey_response_orders') }} as bridge
inner join {{ ref('fct_survey_responses') }} as responses on bridge.response_key = responses.response_key
