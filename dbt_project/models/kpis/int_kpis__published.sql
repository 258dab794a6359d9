{{ kept_at_publishing('kpi_values', {
    'version': 'varchar', 'as_of': 'timestamp', 'registry_sequence': 'bigint',
    'kpi_id': 'varchar', 'kpi_version': 'integer', 'definition_hash': 'varchar',
    'period_start': 'date', 'dimension': 'varchar', 'dimension_value': 'varchar',
    'value': 'double', 'numerator': 'double', 'denominator': 'double', 'n': 'bigint',
}, only_last=true) }}
