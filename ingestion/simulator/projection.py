"""What a vendor's API knows of the world at the company's clock."""

from dataclasses import dataclass

# every projection gives these, beside whatever columns its routes filter on
COLUMNS = ("id", "created_at", "updated_at", "archived_at", "document")


@dataclass(frozen=True)
class Projection:
    """One kind of record of one vendor, as a query over `world.*`.

    The query gives `id` (text), `created_at`, `updated_at` (the newest change that has happened),
    `archived_at` (null: live), `document` (the record as JSON text) and the columns that routes
    filter on. It may use the macros `clock()` and `happened(at, key)`; an erased record is absent.

    With `numbered` (table and column of the world) it can be read in parts: it names the records
    that belong to one by the macro `in_part(number)`, which is else always true.
    """

    name: str  # "shopify_orders"
    sql: str
    numbered: tuple[str, str] | None = None  # ("orders", "order_id")
