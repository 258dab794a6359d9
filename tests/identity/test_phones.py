"""One spelling for every phone number."""

import pyarrow as pa

from dbt_project.enrichment.phones import normalise_phones


def test_national_and_international_spellings_meet() -> None:
    given = [
        ("030 901820", "DE"),
        ("+49 (0)30 901820", "DE"),
        ("0049 30 901820", "DE"),
        ("11 3003-3030", "BR"),
        ("+55 11 3003 3030", None),
        ("030 901820", None),
        ("none", "DE"),
        ("12", "DE"),
    ]
    table = pa.table({"phone": [p for p, _ in given], "country": [c for _, c in given]})
    assert normalise_phones(table)["e164"].to_pylist() == [
        "+4930901820", "+4930901820", "+4930901820", "+551130033030", "+551130033030",
        None, None, None,
    ]  # fmt: skip
