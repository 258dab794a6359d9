"""dbt's docs as one page: of the warehouse as it is, and closed."""

import json
import re

from tests.pipeline.conftest import settings_of
from tests.support import Home


def test_the_docs_are_one_page_that_asks_nobody_for_anything(harbor: Home) -> None:
    manifest = settings_of(harbor).dbt_target / "manifest.json"
    before = manifest.read_bytes()
    assert "dbt_docs.html" in harbor.cxm("docs", "--no-compiled").stdout
    page = (harbor.path / "reports" / "dbt_docs.html").read_text(encoding="utf-8")
    policy = re.search(r'<head><meta http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy and policy[1].startswith("default-src 'none'") and "//" not in policy[1]
    assert re.search(r'"send_anonymous_usage_stats": ?false', page), "or it would load a tracker"
    assert "The CXM warehouse" in page, "our words come first"
    start = page.index('catalog:{"metadata"') + len("catalog:")
    catalog, _ = json.JSONDecoder().raw_decode(page, start)
    columns = catalog["nodes"]["model.cxm.customer_360"]["columns"]
    assert columns["customer_id"]["type"] == "VARCHAR"
    assert manifest.read_bytes() == before, "Dagster reads it"
    assert sorted(p.name for p in (harbor.path / "dbt").iterdir()) == ["logs", "target"]
