"""Writes everything that follows from the KPI contracts: `python -m dbt_project.kpis [--check]`."""

import sys

from dbt_project.kpis.artefacts import COMMAND, PROJECT, artefacts
from dbt_project.kpis.contracts import ContractError, load_contracts


def main() -> int:
    try:
        contracts = load_contracts()
    except ContractError as error:
        print(error, file=sys.stderr)
        return 2
    stale = {
        path: text
        for path, text in artefacts(contracts).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(PROJECT)} is out of date; run `{COMMAND}`")
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(PROJECT)}")
    print(f"{len(contracts)} KPIs, {len(stale)} files changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
