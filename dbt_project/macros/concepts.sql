{#- Models of the unified layer, in the order of the customer's life. -#}
{% macro unified_models() %}
    {{ return([
        'person_records', 'accounts', 'employees', 'consent_events',
        'opportunities', 'opportunity_stage_events',
        'categories', 'products', 'orders', 'order_lines', 'payments', 'refunds', 'carts',
        'fulfilments', 'exchange_rates',
        'tickets', 'ticket_events', 'messages', 'conversations',
        'schedules', 'schedule_intervals', 'schedule_holidays',
        'sla_targets', 'sla_events', 'ticket_metric_sets',
        'surveys', 'survey_invitations', 'survey_responses', 'reviews',
        'survey_questions', 'survey_choices', 'survey_submissions', 'survey_answers',
        'campaigns', 'campaign_events', 'web_events', 'ad_spend', 'loyalty_events', 'referrals',
    ]) }}
{% endmacro %}

{#- The contract of a concept: the columns of its unified model, as their YAML states them. -#}
{% macro contract(model) %}
    {{ return(graph.nodes['model.cxm.' ~ model]) }}
{% endmacro %}

{% macro column_meta(column) %}
    {{ return(column.get('config', {}).get('meta') or column.get('meta') or {}) }}
{% endmacro %}

{% macro is_required(column) %}
    {{ return(column.constraints | selectattr('type', 'equalto', 'not_null') | list | length > 0) }}
{% endmacro %}
