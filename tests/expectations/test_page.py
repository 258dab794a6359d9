"""The page says what is wrong, is one file, and says nothing that the results did not."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from expectations.page import render_page
from expectations.runner import CheckResult, SuiteResult

AT = datetime(2026, 3, 3, 6, 5, tzinfo=UTC)
RESULTS = [
    SuiteResult(
        "landed_volume",
        "quality.load_accounts",
        [
            CheckResult("fine", "All arrived.", "received", True, "critical", None, 0),
            CheckResult("odd", "As much as usual.", "received", False, "warning", "20 < 200", 1),
            CheckResult("later", "As ever.", None, True, "warning", skipped="only one load"),
        ],
    ),
    SuiteResult(
        "marts_orders",
        "marts.fct_orders",
        [
            CheckResult("broken", "Sums agree.", None, False, "critical", error="no table <x>"),
            CheckResult("twice", "No order twice.", "order_key", False, "critical", "o1", 1_234),
        ],
    ),
]


class Texts(HTMLParser):
    """Texts of a page and its open tags; complains about tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(data.strip())


def page(tmp_path: Path, results: list[SuiteResult], title: str = "Validation") -> str:
    target = tmp_path / "new" / "page.html"
    render_page(results, target, title=title, generated_at=AT)
    return target.read_text(encoding="utf-8")


def test_failures_come_first_and_the_critical_ones_before_the_warnings(tmp_path: Path) -> None:
    shown = " ".join(Texts(page(tmp_path, RESULTS)).texts)
    order = [
        "Publishing is blocked: what must hold does not.",
        "5 checks: 2 critical, 1 warning, 1 passed, 1 skipped.",
        "Expected: Sums agree. The check itself broke: no table <x>.",
        "Expected: No order twice. 1,234 cases found: o1.",
        "Expected: As much as usual. 1 case found: 20 < 200.",
        "Everything that was checked",
        "All arrived.",
        "Not checked: only one load.",
    ]
    places = [shown.find(text) for text in order]
    assert -1 not in places
    assert places == sorted(places)


def test_the_verdict_is_that_of_the_worst_check(tmp_path: Path) -> None:
    good = SuiteResult("s", "t", [RESULTS[0].checks[0]])
    skipped = SuiteResult("s", "t", [RESULTS[0].checks[2]])
    for results, verdict in [
        ([good], "All checks passed."),
        ([good, RESULTS[0]], "Nothing blocks publishing, but look at the warnings."),
        ([skipped], "Nothing could be checked."),
        ([], "Nothing could be checked."),
    ]:
        shown = page(tmp_path, results)
        assert verdict in Texts(shown).texts
        assert ("What is wrong" in shown) == (RESULTS[0] in results)


def test_the_page_needs_no_other_file_and_no_script(tmp_path: Path) -> None:
    shown = page(tmp_path, RESULTS)
    assert not {"script", "link", "img", "iframe"} & set(Texts(shown).seen)
    for sign in ("http", "//", "url(", "@import", "src="):
        assert sign not in shown


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    assert page(tmp_path / "a", RESULTS) == page(tmp_path / "b", RESULTS)


@given(st.text("<>&\"'abc {}%/", min_size=1).map(str.strip).filter(bool))
def test_texts_are_shown_as_they_are(value: str) -> None:
    import tempfile

    check = CheckResult(value, value, value, False, "critical", f"x{value}x", 1)
    with tempfile.TemporaryDirectory() as folder:
        shown = Texts(page(Path(folder), [SuiteResult("s", value, [check])], title=value))
    texts = " ".join(shown.texts)
    assert f"Expected: {value}" in texts
    assert f"1 case found: x{value}x." in texts
    assert f"{value}.{value} (s: {value})" in texts
    assert set(shown.seen) <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "time", "div"),
        *("strong", "ul", "li", "span", "code", "table", "thead", "tbody", "tr", "th", "td"),
    }
