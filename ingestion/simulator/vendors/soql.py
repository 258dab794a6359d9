"""The part of SOQL that the simulated Salesforce answers, turned into SQL over a table.

Known are a list of fields, WHERE with = != < <= > >= IN AND OR and parentheses, ORDER BY, LIMIT.
Everything else is the vendor's own error, so that a connector cannot pass by luck.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NoReturn

_TOKEN = re.compile(
    r"\s+|(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<day>\d{4}-\d\d-\d\d)|(?P<number>[+-]?\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z]\w*(?:\.\w+)*)|(?P<sign><=|>=|!=|[=<>(),:])"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_TEXT_KINDS = {"id", "reference", "string", "email", "phone", "picklist", "url"}
_NUMBER_KINDS = {"int", "double", "currency", "percent"}


class SoqlError(Exception):
    """A query that Salesforce would refuse.

    Attributes:
        code: the vendor's error code.
        unsupported: true where the vendor would know what this module does not.
    """

    def __init__(self, code: str, message: str, *, unsupported: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.unsupported = unsupported


@dataclass(frozen=True)
class Field:
    """A field of an object: its Salesforce type and its SQL over the object's table."""

    name: str
    kind: str
    sql: str
    filterable: bool = True
    nillable: bool = True
    compound: str | None = None  # the compound field that it is a part of


@dataclass(frozen=True)
class Query:
    """A query as SQL: `rest` follows `from <table>` and takes `parameters`."""

    entity: str
    fields: tuple[Field, ...]
    rest: str
    parameters: tuple[Any, ...]


def full_id(text: str) -> str:
    """The 18 characters of an id of 15: the last three say which letters are capitals."""
    if len(text) != 15:
        return text
    fifths = (text[i : i + 5] for i in (0, 5, 10))
    sums = (sum(c.isupper() << i for i, c in enumerate(part)) for part in fifths)
    return text + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[s] for s in sums)


def translate(text: str, entities: Mapping[str, Mapping[str, Field]]) -> Query:
    """A SOQL query as SQL.

    Args:
        entities: fields by name, by object.

    Raises:
        SoqlError: what the vendor would answer.
    """
    return _Parser(text, entities).query()


class _Parser:
    def __init__(self, text: str, entities: Mapping[str, Mapping[str, Field]]) -> None:
        self.tokens = list(_tokens(text))
        self.place = 0
        self.entities = {name.lower(): (name, fields) for name, fields in entities.items()}
        self.entity = ""
        self.known: dict[str, Field] = {}
        self.parameters: list[Any] = []

    def query(self) -> Query:
        self.expect("select")
        names = [self.word()]
        while self.take(","):
            names.append(self.word())
        self.expect("from")
        entity = self.word()
        if entity.lower() not in self.entities:
            raise SoqlError("INVALID_TYPE", f"sObject type '{entity}' is not supported.")
        self.entity, fields = self.entities[entity.lower()]
        self.known = {name.lower(): f for name, f in fields.items()}
        selected = tuple(self.field(name) for name in names)
        if len({f.name for f in selected}) < len(selected):
            raise SoqlError("INVALID_FIELD", "duplicate field selected")
        rest = f" where {self.condition()}" if self.take("where") else ""
        if self.take("order"):
            self.expect("by")
            rest += f" order by {self.orders()}"
        if self.take("limit"):
            rest += f" limit {int(self.value('number'))}"
        if self.place < len(self.tokens):
            self.unexpected(unsupported=True)
        return Query(self.entity, selected, rest, tuple(self.parameters))

    def condition(self) -> str:
        parts, joined_by = [self.term()], ""
        while word := (self.take("and") or self.take("or")):
            if joined_by and word != joined_by:  # SOQL has no precedence between the two
                raise SoqlError("MALFORMED_QUERY", f"unexpected token: {word.upper()}")
            joined_by = word
            parts.append(self.term())
        return f" {joined_by} ".join(parts)

    def term(self) -> str:
        if self.take("("):
            inner = self.condition()
            self.expect(")")
            return f"({inner})"
        field = self.field(self.word())
        if not field.filterable:
            raise SoqlError(
                "INVALID_FIELD", f"field '{field.name}' can not be filtered in a query call"
            )
        column = field.sql
        if self.take("in"):
            self.expect("(")
            values = [self.literal(field)]
            while self.take(","):
                values.append(self.literal(field))
            self.expect(")")
            tests = [self.test(column, "=", value) for value in values]
            return f"({' or '.join(tests)})"
        sign = next((s for s in ("=", "!=", "<=", ">=", "<", ">") if self.take(s)), None)
        if sign is None:
            self.unexpected(unsupported=True)
        return self.test(column, sign, self.literal(field))

    def test(self, column: str, sign: str, value: Any) -> str:
        if value is None:
            if sign not in ("=", "!="):
                raise SoqlError("MALFORMED_QUERY", f"null cannot be compared with {sign}")
            return f"{column} is {'not ' if sign == '!=' else ''}null"
        self.parameters.append(value)
        sign = {"=": "=", "!=": "is distinct from"}.get(sign, sign)
        if isinstance(value, str):  # SOQL compares texts without regard to case; ids are exact
            return f"lower({column}) {sign} lower(?)"
        return f"{column} {sign} ?"

    def literal(self, field: Field) -> Any:
        kind, text = self.next()
        if kind == "word" and text.lower() == "null":
            return None
        if kind == "word" and text.lower() in ("true", "false") and field.kind == "boolean":
            return text.lower() == "true"
        if kind == "text" and field.kind in _TEXT_KINDS:
            plain = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])
            return full_id(plain) if field.kind in ("id", "reference") else plain
        if kind == "time" and field.kind == "datetime":
            return datetime.fromisoformat(text).astimezone(UTC)
        if kind == "day" and field.kind == "date":
            return date.fromisoformat(text)
        if kind == "number" and field.kind in _NUMBER_KINDS:
            return float(text)
        if kind in ("word", "sign"):  # a date function such as LAST_N_DAYS:30, or rubbish
            self.place -= 1
            self.unexpected(unsupported=kind == "word")
        quoted = "should not" if field.kind not in _TEXT_KINDS else "should"
        raise SoqlError(
            "INVALID_FIELD",
            f"value of filter criterion for field '{field.name}' must be of type {field.kind} "
            f"and {quoted} be enclosed in quotes",
        )

    def orders(self) -> str:
        orders: list[str] = []
        while not orders or self.take(","):
            column = self.field(self.word()).sql
            way = self.take("desc") or self.take("asc") or "asc"
            nulls = "first"
            if self.take("nulls"):
                nulls = "last" if self.take("last") else self.expect("first")
            orders.append(f"{column} {way} nulls {nulls}")
        return ", ".join(orders)

    def field(self, name: str) -> Field:
        found = self.known.get(name.lower())
        if found is None:
            raise SoqlError(
                "INVALID_FIELD",
                f"No such column '{name}' on entity '{self.entity}'. If you are attempting to use "
                "a custom field, be sure to append the '__c' after the custom field name.",
                unsupported="." in name or name.lower() == "not",
            )
        return found

    def next(self) -> tuple[str, str]:
        if self.place == len(self.tokens):
            raise SoqlError("MALFORMED_QUERY", "unexpected token: '<EOF>'")
        self.place += 1
        return self.tokens[self.place - 1]

    def take(self, text: str) -> str | None:
        """The next token, in small letters, if it is `text`."""
        if self.place < len(self.tokens):
            kind, found = self.tokens[self.place]
            if kind in ("word", "sign") and found.lower() == text:
                self.place += 1
                return text
        return None

    def expect(self, text: str) -> str:
        if not self.take(text):
            self.unexpected(unsupported=True)
        return text

    def word(self) -> str:
        return self.value("word")

    def value(self, kind: str) -> str:
        found, text = self.next()
        if found != kind:
            self.place -= 1
            self.unexpected(unsupported=True)
        return text

    def unexpected(self, *, unsupported: bool = False) -> NoReturn:
        rest = self.tokens[self.place][1] if self.place < len(self.tokens) else "<EOF>"
        raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{rest}'", unsupported=unsupported)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise SoqlError("MALFORMED_QUERY", f"unexpected char: '{text[place]}'")
        if match.lastgroup:
            tokens.append((match.lastgroup, match[0]))
        place = match.end()
    return tokens
