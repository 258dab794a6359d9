"""What the journey says of each customer is read, and said once."""

import re

import yaml

from dbt_project.kpis.contracts import MODELS

MODEL = "int_journey__customers"


def test_every_column_about_customers_is_read() -> None:
    path = MODELS / "journey" / "_journey__models.yml"
    models = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    [described] = [model for model in models if model["name"] == MODEL]
    texts = [path.read_text(encoding="utf-8") for path in MODELS.rglob("*.sql")]
    readers = "".join(sql for sql in texts if f"ref('{MODEL}')" in sql)
    names = [column["name"] for column in described["columns"]]
    assert [name for name in names if not re.search(rf"of_journey\.{name}\b", readers)] == []
