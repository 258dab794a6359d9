-- The terms of every change are the change, but for the last digits of floating numbers.
select * from {{ ref('kpi_changes') }}
where
    abs(change - (value_after - value_before)) > 1e-9 * greatest(1, abs(value_after), abs(value_before))
    or abs(change - (volume + mix + rate + late_data + identity + definition + remainder))
    > 1e-9 * greatest(1, abs(value_after), abs(value_before))
