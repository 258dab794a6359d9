{{ stage_exports('employee', 'employees') }}
