from datetime import datetime, timedelta
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.reports.published import AS_OF, write

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "first_look.ipynb"


def run(database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the notebook says about this database."""
    monkeypatch.setenv("CXM_PUBLISHED", str(database))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return "\n".join(
        output.get("data", {}).get("text/markdown", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def history(tmp_path: Path) -> Path:
    """50 punctual first orders (42 satisfied, 10 came back), 50 late (10 and 9), one employee's."""
    orders, answers, bridge = [], [], []

    def order(key: str, customer: str, at: datetime, number: int, is_late: bool) -> None:
        orders.append(
            {
                "order_key": key,
                "customer_id": customer,
                "ordered_at": at,
                "delivered_at": at + timedelta(days=5),
                "is_late": is_late,
                "is_valid": True,
                "customer_order_number": number,
                "sellers": 1,
            }
        )

    for number in range(101):
        is_late = number >= 50
        customer, key = f"c{number}", f"o{number}"
        order(key, customer, datetime(2024, 1, 1), 1, is_late)
        if number % 50 < (9 if is_late else 10):
            order(f"{key}b", customer, datetime(2024, 2, 1), 2, False)
        satisfied = number % 50 < (10 if is_late else 42)
        answers.append({"response_key": f"r{number}", "customer_id": customer, "kind": "csat"})
        answers[-1] |= {"score": 5 if satisfied else 1, "is_satisfied": satisfied}
        bridge.append({"response_key": f"r{number}", "order_key": key})
    return write(
        tmp_path / "cxm.duckdb",
        {
            "marts.customer_360": [
                {"customer_id": f"c{number}", "is_employee": number == 100, "as_of": AS_OF}
                for number in range(101)
            ],
            "marts.fct_journey_stage_spans": [
                {
                    "customer_id": f"c{number}",
                    "journey_stage": "service" if number < 80 else "loyalty",
                    "stage_number": 4 if number < 80 else 5,
                    "days_in_stage": 30.0,
                    "is_open": True,
                }
                for number in range(101)
            ],
            "marts.fct_orders": orders,
            "marts.fct_survey_responses": answers,
            "marts.bridge_survey_response_orders": bridge,
            "marts.fct_tickets": [
                {"ticket_key": f"t{number}", "topic": "delivery" if number < 3 else "invoice"}
                for number in range(4)
            ],
        },
    )


def test_the_notebook_tells_known_numbers(tmp_path, monkeypatch):
    told = run(history(tmp_path), monkeypatch)
    assert "Of 100 customers, 80 (80.0%) are in the stage *service*" in told
    assert "on time: 84.0% (71.5% to 91.7%, n = 50)" in told
    assert "late delivery: 20.0%" in told
    assert "-64.0 ± 14.8 percentage points, more than chance explains" in told
    assert "late first delivery: 18.0%" in told
    assert "-2.0 ± 15.1 percentage points, no clear difference" in told
    assert "reason of a request for help is *delivery* (75.0%)" in told
    assert "largest difference is *delivered late*" in told


def test_the_notebook_runs_on_an_empty_warehouse(empty, monkeypatch):
    told = run(empty, monkeypatch)
    assert "The warehouse is empty." in told
    assert "No customer has a journey yet." in told
    assert "name no reasons" in told


def test_no_outputs_are_kept_in_the_file():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
