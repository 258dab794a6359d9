"""How values are written into SQL that cannot take parameters."""


def literal(value: object) -> str:
    """The text of a value, as SQL writes a text."""
    return "'" + str(value).replace("'", "''") + "'"
