"""Where a value stands in a document: dotted paths, positions, and the lists that `each` names.

A table's documents are read level by level. Level 0 is the document; every `[]` or `{}` of `each`
is one level further in, and a record is an element of the last.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ingestion.errors import MappingError
from ingestion.sql import literal

Path = tuple[str | int, ...]
_PART = re.compile(r"\[(\d+)\]|\.?([^.\[]+)|(.)", re.DOTALL)
_LEVEL = re.compile(r"(?P<path>[^\[\]{}]+(?:\[\d+\][^\[\]{}]*)*)(?P<kind>\[\]|\{\})\.?")


@dataclass(frozen=True)
class Level:
    """One `a.b[]` (elements of a list) or `a.b{}` (members of an object) of an `each`."""

    path: Path
    is_object: bool


@dataclass(frozen=True)
class Place:
    """A column of an expression: its path in the document or element of one level."""

    level: int
    path: Path


def parse_path(name: str) -> Path:
    """`a.b[0].c` as (a, b, 0, c); a name that is no path stays one name."""
    parts: list[str | int] = []
    for index, member, other in _PART.findall(name):
        if other:
            return (name,)
        parts.append(int(index) if index else member)
    return tuple(parts) or (name,)


def parse_each(text: str, where: str) -> tuple[Level, ...]:
    """The levels of an `each`, such as `pages[].questions[]` or `values{}`."""
    levels, end = [], 0
    while match := _LEVEL.match(text, end):
        levels.append(Level(parse_path(match["path"]), match["kind"] == "{}"))
        end = match.end()
    if not levels or end != len(text) or text.endswith("."):
        raise MappingError(
            f"{where}.each: cannot read {text!r}; write a list as in 'lines[]' or "
            "'pages[].questions[]', the members of an object as in 'values{}'"
        )
    return tuple(levels)


def locate(name: str, levels: tuple[Level, ...], where: str) -> Place:
    """The level and path that a column means in a record of `levels`.

    Without `each` every name is a path in the document. With it a name is a path in the element;
    `parent.x` is one in the document, `outer.x` one in the element around this one, `index` the
    position from 0, and of members `key` and `value`.
    """
    path = parse_path(name)
    level = len(levels)
    if not levels:
        return Place(0, path)
    if path[0] == "parent" and len(path) > 1:
        return Place(0, path[1:])
    while path[0] == "outer" and len(path) > 1:
        level, path = level - 1, path[1:]
        if level < 0:
            raise MappingError(f"{where}: {name!r} leads out of the document")
    is_member = level > 0 and levels[level - 1].is_object
    if is_member and path != ("key",) and path != ("index",) and path[0] != "value":
        raise MappingError(
            f"{where}: a member of an object has a `key` and a `value`; did you mean "
            f"'value.{name}' or 'parent.{name}'?"
        )
    return Place(level, path)


def elements_sql(level: int, levels: tuple[Level, ...]) -> tuple[str, str]:
    """SQL of a level's elements as a list of JSON, and of its keys ('' where it has none).

    Both read the level before: `document`, or `element_<n>`.
    """
    step = levels[level - 1]
    around = "document" if level == 1 else f"element_{level - 1}"
    inner = step.path
    if level > 1 and levels[level - 2].is_object:  # the element of a member is its value
        inner = inner[1:] if inner[0] == "value" else inner
    path = json_path(inner)
    if step.is_object:
        return f"json_extract({around}, {path[:-1]}.*')", f"json_keys({around}, {path})"
    return f"json_extract({around}, {path[:-1]}[*]')", ""


def json_path(path: Path) -> str:
    """For DuckDB's JSON functions, as a quoted SQL text."""
    parts = "".join(
        f"[{p}]" if isinstance(p, int) else '."' + p.replace('"', '\\"') + '"' for p in path
    )
    return literal("$" + parts)


def value_sql(place: Place, levels: tuple[Level, ...]) -> str:
    """SQL of a column's text over the columns that staging makes of a level.

    These are `record_<n>` (struct of the used members), and above level 0 `element_<n>` (JSON),
    `index_<n>` and, of the members of an object, `key_<n>`.
    """
    n, path = place.level, place.path
    if n:
        if path == ("index",):
            return f"cast(index_{n} as varchar)"
        if levels[n - 1].is_object:
            if path == ("key",):
                return f"key_{n}"
            path = path[1:]
            if not path:
                return f"(element_{n} ->> '$')"
        elif path == ("value",):  # of a list of texts or numbers there are no members
            plain = f"case when json_type(element_{n}) <> 'OBJECT' then element_{n} ->> '$' end"
            return f'coalesce(record_{n}."value", {plain})'
    parts = "".join(
        f"[{p + 1}]" if isinstance(p, int) else '."' + p.replace('"', '""') + '"' for p in path
    )
    return f"record_{n}{parts}"


def shape_of(places: Iterable[Place], level: int, levels: tuple[Level, ...], where: str) -> str:
    """What DuckDB's json_transform is to take out of a level: a quoted SQL text, or ''."""
    shape: dict[str, Any] = {}
    for place in places:
        path = place.path
        if place.level != level:
            continue
        if level and (path == ("index",) or (levels[level - 1].is_object and path == ("key",))):
            continue
        if level and levels[level - 1].is_object:
            path = path[1:]
        if not path:
            continue
        if not _add(shape, path):
            name = ".".join(map(str, path))
            raise MappingError(
                f"{where}: {name!r} is used as a value and as an object with members, or differs "
                "from another name in upper and lower case only"
            )
    return literal(json.dumps(shape)) if shape else ""


def _add(shape: dict[str, Any], path: Path) -> bool:
    """Add a path; False where the shape has something else in its place."""
    inside: Any = shape
    for part, following in zip(path, [*path[1:], None], strict=True):
        empty: Any = "VARCHAR" if following is None else [] if isinstance(following, int) else {}
        if isinstance(part, int):
            if not isinstance(inside, list):
                return False
            if not inside:
                inside.append(empty)
            found = inside[0]
        else:
            if not isinstance(inside, dict):
                return False
            if part not in inside and part.lower() in map(str.lower, inside):
                return False
            found = inside.setdefault(part, empty)
        if type(found) is not type(empty):
            return False
        inside = found
    return True
