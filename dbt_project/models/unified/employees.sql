{{ current_records('employee', [ref('stg_exports__employees')]) }}
