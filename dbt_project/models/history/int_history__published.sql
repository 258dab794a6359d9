{{ kept_at_publishing('customers', dict(
    history_columns(),
    customer_id='varchar', version='varchar', known_from='timestamp', is_gone='boolean', content_hash='varchar'
)) }}
