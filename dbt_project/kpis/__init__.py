"""KPI contracts: one YAML entry per KPI, from which dbt models, metrics and pages are written."""

from dbt_project.kpis.contracts import STAGES, ContractError, KpiContract, load_contracts

__all__ = ["STAGES", "ContractError", "KpiContract", "load_contracts"]
