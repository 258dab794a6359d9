"""The validation page: one HTML file that says in sentences what is wrong, and what was checked."""

from datetime import datetime
from html import escape
from pathlib import Path

from expectations.runner import CheckResult, SuiteResult

STYLE = """
:root {
  color-scheme: light dark;
  --text: #1b1f24; --soft: #57606a; --page: #ffffff; --panel: #f5f6f8; --line: #d5d9df;
  --critical: #b3261e; --warning: #8a5a00; --good: #1a7044;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e7eaee; --soft: #a3abb6; --page: #14171b; --panel: #1d2127; --line: #363c45;
    --critical: #ff8a80; --warning: #f0b64b; --good: #6fcf97;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 64rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
h3 code { font-weight: normal; color: var(--soft); margin-left: .4rem; }
p { margin: .3rem 0; }
.soft, time { color: var(--soft); }
.verdict {
  margin: 1.2rem 0; padding: .8rem 1rem; background: var(--panel);
  border-left: .35rem solid var(--good); border-radius: .3rem;
}
.verdict strong { font-size: 1.1rem; }
.verdict.critical { border-color: var(--critical); }
.verdict.warning { border-color: var(--warning); }
ul.failures { list-style: none; margin: 0; padding: 0; }
ul.failures li {
  padding: .7rem 0 .7rem .9rem; border-left: .25rem solid var(--warning);
  border-bottom: 1px solid var(--line); break-inside: avoid;
}
ul.failures li.critical { border-left-color: var(--critical); }
.mark { font-weight: 600; white-space: nowrap; }
.mark.critical { color: var(--critical); }
.mark.warning { color: var(--warning); }
.mark.passed { color: var(--good); }
.mark.skipped { color: var(--soft); }
.found, code { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem .4rem 0; }
th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); }
td { border-bottom: 1px solid var(--line); }
th:nth-child(2) { width: 8.5rem; }
th:nth-child(3) { width: 42%; }
@media (max-width: 40rem) {
  thead { display: none; }
  table, tbody, tr, td { display: block; width: 100%; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td { border: 0; padding: .1rem 0; }
  td:empty { display: none; }
}
@media print {
  :root {
    --text: #000; --soft: #444; --page: #fff; --panel: #fff; --line: #bbb;
    --critical: #900; --warning: #640; --good: #040;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3, thead { break-after: avoid; }
  tr { break-inside: avoid; }
}
"""


def render_page(
    results: list[SuiteResult], target: Path, *, title: str, generated_at: datetime
) -> None:
    """Write the page; the same results give the same bytes."""
    failures = [(suite, check) for suite in results for check in suite.checks if not check.passed]
    # what blocks comes first, else in the order of the suites
    failures.sort(key=lambda pair: pair[1].severity != "critical")
    written_at = generated_at.isoformat(sep=" ", timespec="minutes")
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        f'<p><time datetime="{escape(generated_at.isoformat())}">{escape(written_at)}</time></p>',
        _verdict(results),
    ]
    if failures:
        parts += [
            "<h2>What is wrong</h2>",
            '<ul class="failures">',
            *(_failure(suite, check) for suite, check in failures),
            "</ul>",
        ]
    parts.append("<h2>Everything that was checked</h2>")
    parts += [_suite(suite) for suite in results]
    parts += ["</body>", "</html>", ""]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(parts), encoding="utf-8")


def _verdict(results: list[SuiteResult]) -> str:
    states = [_state(check) for suite in results for check in suite.checks]
    counts = {state: states.count(state) for state in ("critical", "warning", "passed", "skipped")}
    if counts["critical"]:
        level, text = "critical", "Publishing is blocked: what must hold does not."
    elif counts["warning"]:
        level, text = "warning", "Nothing blocks publishing, but look at the warnings."
    elif counts["passed"]:
        level, text = "passed", "All checks passed."
    else:
        level, text = "warning", "Nothing could be checked."
    tally = [
        f"{counts['critical']} critical",
        _counted(counts["warning"], "warning"),
        f"{counts['passed']} passed",
        f"{counts['skipped']} skipped",
    ]
    return (
        f'<div class="verdict {level}"><p><strong>{text}</strong></p>'
        f"<p>{_counted(len(states), 'check')}: {', '.join(tally)}.</p></div>"
    )


def _failure(suite: SuiteResult, check: CheckResult) -> str:
    return (
        f'<li class="{check.severity}"><p>{_mark(check)} {escape(_expected(check))}</p>'
        f'<p class="found">{escape(_found(check))}</p>'
        f'<p class="soft"><code>{escape(_place(suite, check))}</code></p></li>'
    )


def _suite(suite: SuiteResult) -> str:
    rows = [
        f"<tr><td>{escape(check.description)}</td><td>{_mark(check)}</td>"
        f'<td class="found">{escape(_found(check))}</td></tr>'
        for check in suite.checks
    ]
    name = suite.name.replace("_", " ").capitalize()
    return "\n".join(
        [
            f"<h3>{escape(name)}<code>{escape(suite.table)}</code></h3>",
            "<table>",
            "<thead><tr><th>What must hold</th><th>Result</th><th>What was found</th></tr></thead>",
            "<tbody>",
            *rows,
            "</tbody>",
            "</table>",
        ]
    )


def _state(check: CheckResult) -> str:
    if check.skipped is not None:
        return "skipped"
    return "passed" if check.passed else check.severity


def _mark(check: CheckResult) -> str:
    state = _state(check)
    words = {"critical": "✗ critical", "warning": "! warning", "passed": "✓ passed"}
    return f'<span class="mark {state}">{words.get(state, "– skipped")}</span>'


def _expected(check: CheckResult) -> str:
    return f"Expected: {check.description}"


def _found(check: CheckResult) -> str:
    if check.skipped is not None:
        return _sentence(f"Not checked: {check.skipped}")
    if check.error is not None:
        return _sentence(f"The check itself broke: {check.error}")
    if check.passed:
        return ""
    count = check.unexpected_count
    counted = f"{_counted(count, 'case')} found" if count else "Not as expected"
    return _sentence(f"{counted}: {check.observed}" if check.observed else counted)


def _place(suite: SuiteResult, check: CheckResult) -> str:
    column = f".{check.column}" if check.column else ""
    return f"{suite.table}{column} ({suite.name}: {check.name})"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
