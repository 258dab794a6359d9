"""Ids as the vendors write them, and numbers that look random but belong to a record."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array = np.ndarray[Any, Any]

_DIGITS62 = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8
)


def base62(number: Array, width: int) -> Array:
    """Whole numbers in base 62, padded to a width."""
    digits = np.empty((len(number), width), np.uint8)
    rest = number.astype(np.uint64)
    for place in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, np.uint64(62))
        digits[:, place] = _DIGITS62[digit.astype(np.int64)]
    return digits.view(f"S{width}").ravel().astype(f"U{width}")


def salesforce_ids(prefix: str, number: Array) -> Array:
    """Ids of 15 characters and the three that tell capital letters for those who ignore case."""
    body = np.strings.add(f"{prefix}7Q000", base62(number.astype(np.uint64), 7))
    letters = body.astype("S15").view(np.uint8).reshape(-1, 3, 5)
    capital = (letters >= ord("A")) & (letters <= ord("Z"))
    code = (capital * np.array([1, 2, 4, 8, 16])).sum(axis=2)
    check = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", np.uint8)[code]
    return np.strings.add(body, np.ascontiguousarray(check).view("S3").ravel().astype("U3"))


def hashes(text: pa.Array, system: Array) -> Array:
    """A number of 64 bits for each text in its system; 0 where there is none."""
    width = 120
    data = (
        np.array(text.fill_null("").to_pylist(), dtype=f"S{width}")
        if len(text)
        else np.zeros(0, f"S{width}")
    )
    letters = data.view(np.uint8).reshape(-1, width).astype(np.uint64)
    factors = mix(np.arange(1, width + 1, dtype=np.uint64)) | np.uint64(1)
    mixed = mix((letters * factors).sum(axis=1, dtype=np.uint64) + system.astype(np.uint64))
    return np.where(pc.is_valid(text).to_numpy(zero_copy_only=False), mixed, np.uint64(0))


def mix(number: Array) -> Array:
    """Whole numbers of 64 bits stirred so that neighbours have nothing in common; one to one."""
    x = number.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
