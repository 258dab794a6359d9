{{ stage_concept('employee', 'employees') }}
