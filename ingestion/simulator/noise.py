"""Noise that records have: kinds, how often they come, and how each looks in text."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator.systems import BIT, KINDS

Array = np.ndarray[Any, Any]


def has(bits: Array, kind: str) -> Array:
    """Whether a kind is among the bits."""
    return np.asarray((bits & BIT[kind]) > 0)


def edit(text: pa.Array, here: Array, change: Any) -> pa.Array:
    """The text with `change(some, rows)` in the rows that are marked."""
    rows = np.flatnonzero(here)
    if not len(rows):
        return text
    new = change(text.take(pa.array(rows)), rows)
    index = np.arange(len(text))
    index[rows] = len(text) + np.arange(len(rows))
    return pa.concat_arrays([text, new.cast(pa.string())]).take(pa.array(index))


def typo(text: pa.Array, marks: Array, stop: str | None = None) -> pa.Array:
    """One letter left out or typed twice; before `stop`, if that is given."""
    whole = _letters(text)
    head = whole if stop is None else np.strings.partition(whole, stop)[0]
    length = np.maximum(np.strings.str_len(head), 1)
    # Not the first letter: that one is seldom mistyped.
    place = np.where(
        length > 1, 1 + (marks % (np.maximum(length - 1, 1)).astype(np.uint64)).astype(np.int64), 0
    )
    before = np.strings.slice(whole, 0, place)
    letter = np.strings.slice(whole, place, place + 1)
    after = np.strings.slice(whole, place + 1, None)
    doubled = np.strings.add(letter, letter)
    how = (marks // np.uint64(64)) % np.uint64(2)
    put = np.where((how == 0) & (length > 3), np.array(""), doubled)
    return _text(np.strings.add(np.strings.add(before, put), after), text)


def tagged(text: pa.Array, marks: Array, ids: Array) -> pa.Array:
    """Addresses with a tag that is nobody else's: anna+shop12@..."""
    tags = np.array(["shop", "news", "outdoor", "nordlicht"])[(marks % np.uint64(4)).astype(int)]
    tag = pa.array(np.strings.add(tags, ids.astype("U9")))
    local = pc.replace_substring_regex(text, "@.*$", "")
    domain = pc.replace_substring_regex(text, "^.*@", "")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(local, tag, "+"), domain, "@")


def second_mailbox(text: pa.Array, person: Array) -> pa.Array:
    """Another address of the same person, with another provider."""
    local = pc.replace_substring_regex(text, "@.*$", "")
    return pc.binary_join_element_wise(
        local, pa.array((person % 1000).astype("U3")), "@alt.example", ""
    )


def cased(text: pa.Array, marks: Array) -> pa.Array:
    """Addresses with a capital letter, or all in capitals."""
    loud = pa.array(marks % np.uint64(4) == 0)
    return pc.if_else(loud, pc.utf8_upper(text), pc.utf8_capitalize(text))


def national(text: pa.Array) -> pa.Array:
    """Numbers as they are dialled within their country."""
    text = pc.replace_substring_regex(text, r"^\+(49|43|44)", "0")
    text = pc.replace_substring_regex(text, r"^\+7", "8")
    return pc.replace_substring_regex(text, r"^\+(1|55|351)", "")


def spaced(text: pa.Array) -> pa.Array:
    """International numbers as people write them."""
    text = pc.replace_substring_regex(text, r"^\+1(\d{3})(\d{3})(\d{4})$", r"+1 (\1) \2-\3")
    parts = r"^\+(49|43|44|55|351|7)(\d{2,3})(\d{3,4})(\d{4})$"
    return pc.replace_substring_regex(text, parts, r"+\1 \2 \3 \4")


def wrong_digit(text: pa.Array, marks: Array) -> pa.Array:
    """Numbers with one of the last five digits wrong."""
    whole = _letters(text)
    place = np.maximum(np.strings.str_len(whole) - 1 - (marks % np.uint64(5)).astype(np.int64), 0)
    digit = np.strings.slice(whole, place, place + 1)
    old = np.where(np.strings.isdigit(digit), digit, "0").astype("U1").astype(np.int64)
    shift = 1 + ((marks // np.uint64(8)) % np.uint64(9)).astype(np.int64)
    new = ((old + shift) % 10).astype("U1")
    parts = (np.strings.slice(whole, 0, place), new, np.strings.slice(whole, place + 1, None))
    return _text(np.strings.add(np.strings.add(parts[0], parts[1]), parts[2]), text)


def _letters(text: pa.Array) -> Array:
    return np.array(text.fill_null("").to_pylist() or [""], dtype="U")[: len(text)]


def _text(values: Array, like: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_valid(like), pa.array(values.tolist(), pa.string()), None)


def labels(bits: Array) -> pa.ListArray:
    """The names of the kinds of noise that are set, a list a row."""
    chosen = np.stack([(bits >> i) & 1 for i in range(len(KINDS))], axis=1).astype(bool)
    offsets = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int32)
    kind = np.nonzero(chosen)[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(KINDS).take(pa.array(kind)))
