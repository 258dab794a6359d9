"""Segment as the company uses it: web and app messages, pushed as files or signed webhooks.

Segment has no API to ask for events. Its "AWS S3" destination writes gzip files of one JSON
message a line, `segment-logs/<source>/<day in epoch ms>/<time>.gz`; `push` does the same into a
folder. A webhook destination posts the same messages, signed with HMAC-SHA1 of the body.

Ids: `messageId` from the event's number, `anonymousId` the device, `userId` the shop's customer
id, `groupId` the account's number; `product_id`, `order_id` and `cart_id` as the shop numbers them.
"""

import gzip
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

from ingestion.simulator.company import Company
from ingestion.simulator.projection import Projection

VENDOR = "segment"

SETTINGS: dict[str, Any] = {
    "source_id": "nordlicht_web",
    "file_hours": 24,  # span of one file; about an hour in a real workspace [A]
    "replay_share": 0.004,  # messages that come again three days later, with the same messageId
    "both_sides_share": 0.3,  # orders that browser and server both report, under two messageIds
    "drift_share": 0.05,  # events of an old library that writes prices as texts
}

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_REPLAYED_AFTER = timedelta(days=3)


def _messages(since: datetime, settings: dict[str, Any]) -> str:
    """SQL of what has arrived from that time on."""
    template = Template(Path(__file__).with_suffix(".sql").read_text())
    return template.substitute(settings, since=since.isoformat())


MESSAGES = Projection(
    "segment_messages", _messages(_BEGINNING, SETTINGS), numbered=("web_event", "event_id")
)
_TYPES = {
    "page": "pages", "screen": "screens", "track": "tracks", "identify": "identifies",
    "group": "groups", "alias": "aliases", "delete": "deletes",
}  # fmt: skip
PROJECTIONS = {"messages": MESSAGES} | {
    name: Projection(f"segment_{name}", f"select * from (\n{MESSAGES.sql}\n) where type = '{kind}'")
    for kind, name in _TYPES.items()
}
# all of the connector's objects at once: the value of a column says which one a record is of
LAKE_SPLIT = (MESSAGES, "type", _TYPES)


def routes(api: Any) -> list[Any]:
    """None: Segment pushes."""
    return []


def push(company: Company, folder: Path) -> int:
    """Write the files of all whole spans up to the company's clock that are not there yet."""
    settings = {**SETTINGS, **company.settings.get(VENDOR, {})}
    span = timedelta(hours=settings["file_hours"]).total_seconds()
    end = datetime.fromtimestamp(company.clock.timestamp() // span * span, UTC)
    target = folder / "segment-logs" / settings["source_id"]
    last = max((int(path.stem) for path in target.rglob("*.gz")), default=None)
    since = _BEGINNING if last is None else datetime.fromtimestamp(last / 1000 + span, UTC)
    sent_since = since if last is None else since - _REPLAYED_AFTER
    files = company.query(
        f"""
        with messages as materialized ({_messages(sent_since, settings)}),
        arrivals as (
            select updated_at as arrived_at, id, document from messages
            union all
            select updated_at + interval '{_REPLAYED_AFTER.days} days', id, document from messages
            where hash(id, 'replay') % 100000 < {settings["replay_share"]} * 100000
        )
        select
            epoch_ms(arrived_at) // {span * 1000:.0f} * {span * 1000:.0f} as begins,
            string_agg(document, chr(10) order by arrived_at, id) || chr(10)
        from arrivals
        where arrived_at >= ? and arrived_at < ?
        group by begins
        order by begins
        """,
        (since, end),
    )
    spans, texts = [file[0] for file in files], [file[1] for file in files]
    with ThreadPoolExecutor() as pool:  # to compress takes no hold of the interpreter
        packed = pool.map(lambda lines: gzip.compress(lines.encode(), 1, mtime=0), texts)
        for begins, content in zip(spans, packed, strict=True):  # the last one says how far it came
            day = begins // 86_400_000 * 86_400_000
            file = target / str(day) / f"{begins}.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = file.with_suffix(".tmp")
            draft.write_bytes(content)
            draft.replace(file)
    return len(files)


def signature(body: bytes, secret: str) -> str:
    """The `X-Signature` of a webhook; of a batch, Segment signs the first event alone."""
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
