{{ current_records(ref('stg__ticket_metric_sets')) }}
