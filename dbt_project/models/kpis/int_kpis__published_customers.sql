{{ kept_at_publishing('kpi_customers', {
    'kpi_id': 'varchar', 'period_start': 'date', 'customer_id': 'varchar',
    'numerator': 'double', 'denominator': 'double',
}, only_last=true) }}
