{#- The columns of customer_360 whose past is kept: what happened, never who it was. Names, addresses,
    comments are not among them, nor what moves with the calendar alone (days since, last 90 days) or with
    every mail that the company sends: each change is a row to keep. -#}
{% macro history_columns() %}{{ return({
    'records': 'bigint', 'sources': 'bigint', 'source_names': 'varchar', 'is_inferred': 'boolean',
    'is_anonymous': 'boolean', 'is_test': 'boolean', 'is_employee': 'boolean', 'acquisition_channel': 'varchar',
    'has_email_consent': 'boolean', 'lifecycle': 'varchar', 'journey_stage': 'varchar',
    'journey_stage_since': 'timestamp', 'orders_placed': 'bigint', 'valid_orders': 'bigint',
    'first_ordered_at': 'timestamp', 'last_ordered_at': 'timestamp', 'revenue_reporting': 'decimal(18,4)',
    'refunded_reporting': 'decimal(18,4)', 'late_deliveries': 'bigint', 'tickets': 'bigint',
    'open_tickets': 'bigint', 'last_ticket_at': 'timestamp', 'reopens': 'bigint', 'survey_responses': 'bigint',
    'last_nps_score': 'double', 'last_nps_group': 'varchar', 'last_csat_score': 'double',
    'last_ces_score': 'double', 'last_responded_at': 'timestamp', 'opportunities': 'bigint',
    'won_opportunities': 'bigint', 'inbound_interactions': 'bigint', 'channels': 'bigint',
    'first_interaction_at': 'timestamp', 'completeness': 'double',
}) }}{% endmacro %}
