"""Numbers, dates and comments as people read them."""

import re
from datetime import date, datetime

NBSP = "\u00a0"
MINUS = "−"
E_MAIL = re.compile(r"[\w.+-]+\s?@\s?[\w-]+(?:\.[\w-]+)+")
# Five digits or more, also when spaced or hyphenated: phone, order, tax and card numbers.
LONG_NUMBER = re.compile(r"\+?\(?\d(?:[\s().-]{0,2}\d){4,}")


def month_name(month: date) -> str:
    return f"{month:%B %Y}"


def day(when: date | datetime) -> str:
    return f"{when.day} {when:%B %Y}"


def count(value: float) -> str:
    return f"{value:,.0f}".replace("-", MINUS)


def number(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    # No minus before a figure that is rounded to nothing.
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", MINUS)


def share_decimals(*shares: float) -> int:
    """Decimals of percentages shown together: small or close ones need two to differ at all."""
    is_close = 0 < max(shares) - min(shares) < 0.001
    return 2 if is_close or 0 < max(map(abs, shares)) < 0.02 else 1


def figure(value: float, unit: str, currency: str, decimals: int | None = None) -> str:
    """A KPI value with its unit, exact."""
    if unit == "share":
        shown = share_decimals(value) if decimals is None else decimals
        return f"{number(100 * value, shown)}{NBSP}%"
    if unit == "currency":
        return f"{number(value, 2)}{NBSP}{currency}"
    if unit == "hours":
        return f"{number(value, 1)}{NBSP}h"
    if unit in ("count", "people"):
        return count(value)
    return number(value, 1)


def bounds(low: float, high: float, unit: str, currency: str, decimals: int) -> str:
    """An interval, the unit named once."""
    first, last = (figure(each, unit, currency, decimals) for each in (low, high))
    return f"{first.split(NBSP)[0]} to {last}"


def spread(values: list[float], unit: str, currency: str, decimals: int) -> str | None:
    """From the lowest to the highest of several figures; None where they look the same."""
    low, high = (figure(each, unit, currency, decimals) for each in (min(values), max(values)))
    return None if low == high else bounds(min(values), max(values), unit, currency, decimals)


def difference(value: float, unit: str, currency: str, decimals: int) -> str:
    """A signed difference; of shares in percentage points."""
    sign = "+" if value > 0 else ""
    if unit == "share":
        return sign + number(100 * value, decimals)
    return sign + figure(value, unit, currency)


def difference_unit(unit: str) -> str:
    return {"share": "percentage points", "points": "points"}.get(unit, "")


def percent_change(ratio: float) -> str:
    return f"{'+' if ratio > 1 else ''}{number(100 * (ratio - 1), 1)}{NBSP}%"


def up_or_down(ratio: float) -> str:
    size = number(abs(100 * (ratio - 1)), 1)
    return f"{'up' if ratio > 1 else 'down'} {size}{NBSP}%" if size != "0.0" else "unchanged"


def compact(value: float) -> str:
    """Three figures and a letter: 13.6 M."""
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{NBSP}{letter}" if value < 1000 * size else count(value)
    return count(value)


def listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def comment_text(comment: str, length: int = 200) -> str:
    """What was written, without addresses and numbers that name a person, cut at a word."""
    masked = LONG_NUMBER.sub("[number]", E_MAIL.sub("[e-mail]", " ".join(comment.split())))
    if len(masked) <= length:
        return masked
    return masked[: length - 1].rsplit(" ", 1)[0] + "…"
