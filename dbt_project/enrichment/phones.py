"""Phone numbers in E.164, the one spelling that makes them comparable."""

import hashlib
from pathlib import Path

import phonenumbers
import pyarrow as pa

FORM = hashlib.md5(  # of what makes the form: with another one, all numbers are looked at anew
    Path(__file__).read_bytes() + phonenumbers.__version__.encode()
).hexdigest()


def normalise_phones(given: pa.Table) -> pa.Table:
    """Normalise distinct phone numbers.

    Args:
        given: columns phone (as written) and country (ISO 3166 alpha-2 or null), no row twice.

    Returns:
        The same rows with e164 (text such as +4930123456; null where the number is not possible).
    """
    # phonenumbers has no vectorised form; distinct numbers only, so the cost is bounded by them
    e164 = [
        _e164(phone, country)
        for phone, country in zip(
            given["phone"].to_pylist(), given["country"].to_pylist(), strict=True
        )
    ]
    return given.append_column("e164", pa.array(e164, pa.string()))


def _e164(phone: str, country: str | None) -> str | None:
    try:
        number = phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        return None
    # a number that only works within its town would meet its like in every other town
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
