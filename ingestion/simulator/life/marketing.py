"""E-mail campaigns: who gets them, what people and machines do with them, who leaves."""

import numpy as np

from ingestion.simulator.life.cast import Cast
from ingestion.simulator.life.columns import MINUTE, NONE, SECOND, Array, Columns, Contacts, join
from ingestion.simulator.life.times import waits

OPEN_SHARE, CLICK_SHARE = 0.24, 0.13
_LINKS = np.array(["/sale", "/collections/new", "/products/featured", "/blogs/trails"], object)
_SHOP = "https://www.nordlicht-outdoor.example"


def interest(cast: Cast, state: dict[str, Array], person: Array) -> Array:
    """How readily people read what the company sends them: about 1, more or less."""
    return 0.35 + 1.0 * state["intent"][person] + 0.5 * cast.loyalty[person]


def send(
    rng: np.random.Generator,
    cast: Cast,
    state: dict[str, Array],
    start: int,
    end: int,
    contacts: Contacts,
    ids: dict[str, int],
) -> tuple[Columns, Columns, Array, tuple[Array, Array, Array], tuple[Array, Array]]:
    """Sends and events of the campaigns that begin this week.

    Gives both tables, the sends' needs of records, the people's clicks (person, time, campaign
    id), and the people who unsubscribed with the time.
    """
    now = np.flatnonzero(
        (cast.campaign_channel == "email")
        & (cast.campaign_start >= start)
        & (cast.campaign_start < end)
    )
    now = now[np.argsort(cast.campaign_start[now], kind="stable")]
    member = state["subscribed"] & (cast.entered < start) & (cast.erased > end)
    left = state["unsubscribed_at"]
    sends: list[Columns] = []
    for campaign in now:
        begin = cast.campaign_start[campaign]
        who = np.flatnonzero(member & ((left == NONE) | (left > begin)))
        at = begin + rng.integers(0, 40 * 60, len(who)) * SECOND
        luck = rng.random(len(who))
        outcome = np.select([luck < 0.0008, luck < 0.009], ["hard", "soft"], "sent").astype(object)
        hard = who[outcome == "hard"]
        state["mail_dead"][hard] = True
        state["subscribed"][hard] = False
        member[hard] = False
        sends.append({
            "person": who, "campaign": np.full(len(who), campaign), "sent_at": at,
            "outcome": outcome,
        })  # fmt: skip
    if not sends:
        nobody = np.zeros(0, np.int64)
        sends = [{"person": nobody, "campaign": nobody, "sent_at": nobody,
                  "outcome": np.zeros(0, object)}]  # fmt: skip
    mail = join(sends)
    person, campaign, sent = mail["person"], mail["campaign"], mail["sent_at"]
    n = len(person)
    send_id = ids["email_send"] + np.arange(n)
    ids["email_send"] += n
    record = contacts.need(person, "mailchimp", "member", sent, "send")
    campaign_id = cast.campaign_id[campaign]

    arrived = mail["outcome"] == "sent"
    alive, sat = state["alive"][person], state["satisfaction"][person]
    opens = OPEN_SHARE * interest(cast, state, person)
    opens = arrived & (rng.random(n) < np.where(alive, opens, opens * 0.3))
    opened = sent + waits(rng, 9, n) + 2 * MINUTE
    clicks = opens & alive & (rng.random(n) < CLICK_SHARE * (0.5 + 0.8 * state["intent"][person]))
    clicked = opened + waits(rng, 0.03, n)
    again = opens & (rng.random(n) < 0.2)
    proxy = arrived & cast.apple[person]
    scan = arrived & cast.scanned[person]
    gone = opens & (rng.random(n) < 0.006 + 0.03 * (1 - sat) ** 2)
    first_goodbye = np.zeros(n, bool)
    first_goodbye[np.unique(np.where(gone, person, -1), return_index=True)[1]] = True
    gone &= first_goodbye
    gone_at = opened + waits(rng, 0.02, n)
    links = rng.integers(0, len(_LINKS), n)
    parts = []
    for where, at, kind, machine in (
        (proxy, sent + waits(rng, 0.1, n), "open", True),
        (scan, sent + rng.integers(2, 40, n) * SECOND, "open", True),
        (scan, sent + rng.integers(41, 90, n) * SECOND, "click", True),
        (opens, opened, "open", False),
        (again, opened + waits(rng, 30, n), "open", False),
        (clicks, clicked, "click", False),
        (gone, gone_at, "unsubscribe", False),
    ):
        of = np.flatnonzero(where)
        url = _SHOP + _LINKS[links[of]]
        parts.append({
            "send_id": send_id[of], "at": at[of], "kind": np.full(len(of), kind, object),
            "url": url if kind == "click" else np.full(len(of), None, object),
            "is_machine": np.full(len(of), machine),
        })  # fmt: skip
    event = join(parts)
    order = np.argsort(event["at"], kind="stable")
    event = {c: v[order] for c, v in event.items()}
    event["event_id"] = ids["email_event"] + np.arange(len(order))
    ids["email_event"] += len(order)

    np.add.at(state["intent"], person[opens], 0.01)
    np.add.at(state["intent"], person[clicks], 0.06)
    state["subscribed"][person[gone]] = False
    state["unsubscribed_at"][person[gone]] = gone_at[gone]
    table: Columns = {
        "send_id": send_id, "campaign_id": campaign_id, "person_id": cast.person_id[person],
        "sent_at": sent, "outcome": mail["outcome"],
    }  # fmt: skip
    visits = clicks & (rng.random(n) < 0.93)
    came = (person[visits], clicked[visits] + 2 * SECOND, campaign_id[visits])
    return table, event, record, came, (person[gone], gone_at[gone])
