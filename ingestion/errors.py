"""Errors that people can act on."""


class CxmError(Exception):
    """An error whose message names what is wrong, where, and how to mend it."""


class MappingError(CxmError):
    """A mapping file that does not hold; nothing was loaded."""


class SettingError(CxmError):
    """A wrong setting or argument; nothing was done."""


class SourceError(CxmError):
    """A source that cannot be read; other sources go on."""
