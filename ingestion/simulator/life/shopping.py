"""Visits to the shop: who comes, from where, what they look at, put into carts and buy."""

from dataclasses import dataclass

import numpy as np

from ingestion.simulator.life.cast import AD_CHANNELS, Cast
from ingestion.simulator.life.columns import (
    DAYS,
    HOUR,
    NONE,
    SECOND,
    WEEK,
    Array,
    Columns,
    draw,
    draw_rows,
    join,
    pick,
    rank_in,
    running_any,
)
from ingestion.simulator.life.times import moments, spread, waits

BROWSE, CART, BUY, RECOVER, BOT, HELP, REVIEW, REFER = range(8)
KINDS = (
    "page_view", "search", "product_view", "add_to_cart", "checkout", "sign_up", "sign_in",
    "order_completed", "product_reviewed", "referral_sent", "help_viewed",
)  # fmt: skip
(PAGE, SEARCH, VIEW, ADD, CHECKOUT, SIGN_UP, SIGN_IN, ORDERED, REVIEWED, REFERRED, HELPED) = range(
    len(KINDS)
)
_REFERRERS = (
    "https://www.google.com/", "https://www.instagram.com/", "https://ads.example.net/",
    "https://trail-blog.example.org/", None, "https://www.google.com/", "https://www.bing.com/",
    "https://mail.example.com/",
)  # fmt: skip
ORGANIC, DIRECT, EMAIL = 5, 4, 7
_PAGES = ("/", "/collections/all", "/pages/about", "/blogs/trails", "/pages/shipping", "/sale")
_TITLES = (
    "Nordlicht Outdoor", "All products", "About us", "Trail stories", "Shipping and returns", "Sale"
)  # fmt: skip
_SEARCHES = {
    "en": ("rain jacket", "hiking boots", "tent 2 person", "sleeping bag", "trail shoes", "return"),
    "de": ("regenjacke", "wanderschuhe", "zelt 2 pers", "schlafsack", "trailrunning", "retoure"),
    "pt": ("jaqueta impermeável", "botas de trilha", "barraca", "saco de dormir", "tênis", "troca"),
    "ru": ("куртка", "треккинговые ботинки", "палатка", "спальник", "рюкзак", "возврат"),
}  # fmt: skip
_ABANDONS, _RECOVERS = 0.47, 0.16


@dataclass
class Sessions:
    """Visits, one a row; `cart`, `order`, `review` and `referral` are positions or -1."""

    person: Array
    at: Array
    kind: Array
    source: Array  # position in _REFERRERS
    campaign_id: Array
    signs_in: Array
    signs_up: Array
    cart: Array
    order: Array
    note_id: Array  # of the review or referral that is written here

    @property
    def count(self) -> int:
        return len(self.person)


@dataclass
class Carts:
    """Carts with their lines (sorted by cart); `order` is the position of what was bought."""

    person: Array
    order: Array
    line_cart: Array
    line_product: Array
    line_quantity: Array
    reaches_checkout: Array


def sessions(person: Array, at: Array, kind: int, **more: Array) -> Sessions:
    """Visits of one kind with everything else at rest."""
    n = len(person)
    columns: dict[str, Array] = {
        "source": np.full(n, DIRECT), "campaign_id": np.full(n, NONE),
        "signs_in": np.zeros(n, bool), "signs_up": np.zeros(n, bool),
        "cart": np.full(n, -1), "order": np.full(n, -1), "note_id": np.full(n, NONE),
    }  # fmt: skip
    return Sessions(person=person, at=at, kind=np.full(n, kind), **{**columns, **more})


def together(parts: list[Sessions]) -> Sessions:
    """Visits of several kinds under each other."""
    return Sessions(**join([vars(p) for p in parts]))


def visits(
    rng: np.random.Generator,
    cast: Cast,
    state: dict[str, Array],
    start: int,
    end: int,
    *,
    season: float,
    black: int,
    ahead: Array,
    clicked: tuple[Array, Array, Array],
    referred: Array,
) -> tuple[Sessions, Carts]:
    """This week's visits with their carts; later recoveries of abandoned carts among them.

    `clicked` is (person, time, campaign id) of clicks in e-mails; `referred` are those who
    came by word of a friend and buy soon.
    """
    here = state["alive"] & (cast.entered < end) & ~cast.bot & (cast.erased > end + 2 * WEEK)
    first = here & (cast.entered >= start)
    sat, intent = state["satisfaction"], state["intent"]
    scale = np.select([cast.kind == 2, cast.kind == 3, cast.b2b], [0.3, 0.3, 0.25], 1.0)
    known = state["orders"] > 0
    wants = cast.appetite * scale * season * (0.25 + 0.75 * sat) * (0.35 + 1.3 * intent)
    wants = wants * np.where(known, 0.75 + 0.6 * cast.loyalty, 0.8)
    buys = here & (rng.random(cast.n) < 1 - np.exp(-0.098 * wants))
    fills = here & ~buys & (rng.random(cast.n) < 0.085 * wants * _ABANDONS / (1 - _ABANDONS))
    buys[referred] = True
    looks = rng.poisson(np.where(here, 0.042 * (0.4 + cast.appetite) * (0.3 + 1.6 * intent), 0))
    looks = np.where(first, np.maximum(looks, 1), looks)

    # Campaigns that run now, seen by those whom their channel reaches.
    running = (cast.campaign_start < end) & (cast.campaign_end > start)
    running &= np.isin(cast.campaign_channel, AD_CHANNELS)
    parts = []
    bought = np.flatnonzero(buys)
    for who, kind in (
        (np.repeat(np.arange(cast.n), looks), BROWSE),
        (np.flatnonzero(fills), CART),
        (bought, BUY),
    ):
        at = moments(rng, start, ahead[who], black=black, floor=cast.entered[who])
        at = np.where(np.isin(who, referred), at + waits(rng, 4, len(who), DAYS), at)
        part = sessions(who, at, kind)
        _arrive(rng, cast, part, running)
        parts.append(part)
    clicker, when, campaign = clicked
    mail = sessions(clicker, when, BROWSE, campaign_id=campaign, source=np.full(len(when), EMAIL))
    parts.append(mail)
    # The first visit of all is how they got to know the shop.
    parts[0] = _first_visits(cast, parts[0], first)

    carts = _fill(rng, cast, parts[2].person, parts[1].person)
    parts[2].cart = parts[2].order = np.arange(len(bought))
    parts[1].cart = len(bought) + np.arange(parts[1].count)
    comes_back = rng.random(parts[1].count) < _RECOVERS * (0.5 + intent[parts[1].person])
    back = np.flatnonzero(comes_back)
    orders = len(bought) + np.arange(len(back))
    carts.order[len(bought) + back] = orders
    recovery = sessions(
        parts[1].person[back], parts[1].at[back] + spread(rng, 0.3, 9, len(back)), RECOVER,
        cart=len(bought) + back, order=orders,
    )  # fmt: skip
    recovery.source[rng.random(len(back)) < 0.5] = EMAIL
    parts.append(recovery)
    bots = np.flatnonzero(cast.bot & (cast.entered < end))
    bots = np.repeat(bots, rng.poisson(2.0, len(bots)))
    at = start + rng.integers(0, (end - start) // SECOND, len(bots)) * SECOND
    parts.append(sessions(bots, np.maximum(at, cast.entered[bots]), BOT))
    return together(parts), carts


def _arrive(rng: np.random.Generator, cast: Cast, part: Sessions, running: Array) -> None:
    n = part.count
    part.source = np.array([ORGANIC, DIRECT, 6])[draw(rng, (4, 5, 1), n)]
    ads = np.flatnonzero(running)
    if not len(ads):
        return
    channel = np.array([AD_CHANNELS.index(c) for c in cast.campaign_channel[ads]])
    likes = channel == (cast.taste[part.person] % 5)[:, None]
    lured = np.flatnonzero(rng.random(n) < np.where(likes.any(axis=1), 0.3, 0.08))
    weights = np.where(likes[lured], 4.0, 1.0)
    ad = draw_rows(rng, weights)
    part.campaign_id[lured] = cast.campaign_id[ads[ad]]
    part.source[lured] = channel[ad]


def _first_visits(cast: Cast, part: Sessions, first: Array) -> Sessions:
    order = np.lexsort((part.at, part.person))
    part = Sessions(**{c: v[order] for c, v in vars(part).items()})
    opening = (rank_in(part.person) == 0) & first[part.person]
    who = part.person[opening]
    channel = cast.channel[who]
    source = np.array(
        [AD_CHANNELS.index(c) if c in AD_CHANNELS else DIRECT if c == "word_of_mouth" else ORGANIC
         for c in channel], np.int64,
    )  # fmt: skip
    part.at[opening] = cast.entered[who]
    part.source[opening] = source
    part.campaign_id[opening] = cast.first_campaign[who]
    return part


def _fill(rng: np.random.Generator, cast: Cast, buyers: Array, others: Array) -> Carts:
    person = np.concatenate([buyers, others])
    n = len(person)
    size = 1 + np.minimum(rng.geometric(0.62, n) - 1, 5)
    cart = np.repeat(np.arange(n), size)
    owner = person[cart]
    product = products(rng, cast, owner)
    # A product stands in one line only.
    order = np.lexsort((product, cart))
    cart, product, owner = cart[order], product[order], owner[order]
    once = np.append(True, (cart[1:] != cart[:-1]) | (product[1:] != product[:-1]))[: len(cart)]
    cart, product, owner = cart[once], product[once], owner[once]
    several = np.where(
        cast.b2b[owner], rng.integers(3, 25, len(cart)), rng.integers(2, 4, len(cart))
    )
    many = rng.random(len(cart)) < np.where(cast.b2b[owner], 0.8, 0.12)
    return Carts(
        person=person, order=np.append(np.arange(len(buyers)), np.full(len(others), -1)),
        line_cart=cart, line_product=product, line_quantity=np.where(many, several, 1),
        reaches_checkout=np.append(np.ones(len(buyers), bool), rng.random(len(others)) < 0.45),
    )  # fmt: skip


def products(rng: np.random.Generator, cast: Cast, person: Array) -> Array:
    """Products that people look at or buy: mostly of their favourite kind, popular ones more."""
    n = len(person)
    edges = np.append(0.0, np.cumsum(cast.popularity * cast.sold))
    favourite = cast.taste[person] // 7 % len(cast.categories)
    low = edges[np.searchsorted(cast.category, favourite, side="left")]
    high = edges[np.searchsorted(cast.category, favourite, side="right")]
    anything = (rng.random(n) < 0.4) | (high <= low)
    low, high = np.where(anything, 0.0, low), np.where(anything, edges[-1], high)
    drawn = np.searchsorted(edges, low + rng.random(n) * (high - low), side="right") - 1
    return np.clip(drawn, 0, len(cast.product_id) - 1)


@dataclass
class Web:
    """Web events (sorted by session and time) and when carts were filled and orders placed."""

    columns: Columns
    person: Array
    session: Array
    kind: Array
    signed: Array  # events of visitors who are signed in
    sign_at: Array  # of each visit, null: not signed in
    note_at: Array  # of each visit: when its review or referral is sent
    device: Array  # of each visit
    cart_at: Array
    checkout_at: Array
    ordered_at: Array


def events(
    rng: np.random.Generator,
    cast: Cast,
    visit: Sessions,
    carts: Carts,
    n_orders: int,
    ids: dict[str, int],
) -> Web:
    """What is clicked in each visit, in order; ids of carts and orders are still positions."""
    n, kind = visit.count, visit.kind
    bot = kind == BOT
    shops = (kind == BUY) | (kind == CART)
    everyone = np.arange(n)
    pages = np.where(bot, rng.poisson(9.0, n), rng.geometric(0.62, n) - 1)
    seeks = np.where(bot, 0, rng.poisson(np.where(kind == BROWSE, 0.45, 0.5), n))
    views = np.where(kind == BROWSE, rng.poisson(0.9, n), np.where(shops, rng.poisson(0.8, n), 0))
    short = (kind == RECOVER) | (kind >= HELP)
    pages, seeks, views = (np.where(short, 0, v) for v in (pages, seeks, views))
    sign = visit.signs_in | visit.signs_up
    early = sign & (rng.random(n) < 0.5)
    line = np.flatnonzero(shops[cart_visit(visit, carts)[carts.line_cart]]) if n else everyone[:0]
    adder = cart_visit(visit, carts)[carts.line_cart[line]] if n else everyone[:0]
    pays = np.flatnonzero(
        (visit.cart >= 0)
        & ((visit.order >= 0) | np.append(carts.reaches_checkout, False)[visit.cart])
    )
    orders = np.flatnonzero(visit.order >= 0)
    viewer = np.repeat(everyone, views)
    plan = [  # (visit, position within it, kind, product)
        (everyone, np.zeros(n), PAGE, None),
        (np.repeat(everyone, pages), None, PAGE, None),
        (np.repeat(everyone, seeks), None, SEARCH, None),
        (viewer, None, VIEW, products(rng, cast, visit.person[viewer])),
        (adder, 2 + 0.001 * np.arange(len(adder)), VIEW, carts.line_product[line]),
        (adder, 2.0005 + 0.001 * np.arange(len(adder)), ADD, carts.line_product[line]),
        (np.flatnonzero(sign), np.where(early, 0.5, 1e7)[sign], SIGN_IN, None),
        (pays, np.full(len(pays), 2e7), CHECKOUT, None),
        (orders, np.full(len(orders), 3e7), ORDERED, None),
        *(
            (np.flatnonzero(kind == k), np.full(int((kind == k).sum()), 2.0), what, None)
            for k, what in ((HELP, HELPED), (REVIEW, REVIEWED), (REFER, REFERRED))
        ),
    ]
    session = np.concatenate([p[0] for p in plan])
    place = np.concatenate([1 + rng.random(len(p[0])) if p[1] is None else p[1] for p in plan])
    what = np.repeat([p[2] for p in plan], [len(p[0]) for p in plan])
    product = np.concatenate([np.full(len(p[0]), -1) if p[3] is None else p[3] for p in plan])
    order = np.lexsort((place, session))
    session, what, product = session[order], what[order], product[order]
    what = np.where((what == SIGN_IN) & visit.signs_up[session], SIGN_UP, what)

    m = len(session)
    pause = rng.exponential(np.where(bot[session], 1.5, 40.0), m)
    gap = (np.minimum(pause, 600) * 1000).astype(np.int64) * 1000 + SECOND
    run = np.cumsum(gap)
    opening = rank_in(session) == 0
    gap_before = (run[opening])[np.cumsum(opening) - 1] if m else run
    at = visit.at[session] + run - gap_before
    signed = running_any(session, np.isin(what, (SIGN_IN, SIGN_UP)))

    cart_at, checkout_at = np.full(len(carts.person), NONE), np.full(len(carts.person), NONE)
    ordered_at = np.full(n_orders, NONE)
    for target, code, of in (
        (cart_at, ADD, visit.cart),
        (checkout_at, CHECKOUT, visit.cart),
        (ordered_at, ORDERED, visit.order),
    ):
        hit = np.flatnonzero(what == code)[::-1] if code == ADD else np.flatnonzero(what == code)
        target[of[session[hit]]] = at[hit]

    sign_at, note_at = np.full(n, NONE), np.full(n, NONE)
    for target, codes in ((sign_at, (SIGN_UP, SIGN_IN)), (note_at, (REVIEWED, REFERRED))):
        hit = np.flatnonzero(np.isin(what, codes))
        target[session[hit]] = at[hit]
    device = _devices(rng, cast, visit)
    person = visit.person[session]
    path, title, search = _page(rng, cast, person, what, product, opening)
    late = rng.random(m) < 0.02
    received = at + rng.integers(20, 3000, m) * 1000 + np.where(late, waits(rng, 5, m, HOUR), 0)
    session_id = ids["session"] + np.arange(n)
    ids["session"] += n
    in_cart = np.isin(what, (ADD, CHECKOUT, ORDERED))
    note = visit.note_id[session]
    return Web(
        columns={
            "session_id": session_id[session], "person_id": cast.person_id[person],
            "device_id": pick(cast.device_id, device[session]),
            "at": at, "received_at": received, "kind": pick(KINDS, what),
            "page_path": path, "page_title": title,
            "referrer": pick(_REFERRERS, np.where(opening, visit.source[session], 4)),
            "campaign_id": visit.campaign_id[session],
            "product_id": pick_id(cast.product_id, product),
            "order_id": np.where(what == ORDERED, visit.order[session], -1),
            "cart_id": np.where(in_cart, visit.cart[session], -1),
            "review_id": np.where(what == REVIEWED, note, NONE),
            "referral_id": np.where(what == REFERRED, note, NONE), "search_text": search,
        },
        person=person, session=session, kind=what, signed=signed,
        sign_at=sign_at, note_at=note_at, device=device,
        cart_at=cart_at, checkout_at=checkout_at, ordered_at=ordered_at,
    )  # fmt: skip


def pick_id(ids: Array, position: Array) -> Array:
    """Ids by position, null where the position is negative."""
    return np.append(ids, NONE)[np.where(position < 0, len(ids), position)]


def cart_visit(visit: Sessions, carts: Carts) -> Array:
    """The visit in which each cart was filled (recoveries come after it in the rows)."""
    where = np.full(len(carts.person), -1)
    has = np.flatnonzero((visit.cart >= 0) & (visit.kind != RECOVER))
    where[visit.cart[has]] = has
    return where


def _devices(rng: np.random.Generator, cast: Cast, visit: Sessions) -> Array:
    """Which of their devices people use: one they have by then, most often the first."""
    count, first = cast.device_count[visit.person], cast.device_first[visit.person]
    choice = (rng.random(visit.count) ** 1.7 * count).astype(np.int64)
    if not len(cast.device_of):
        return np.full(visit.count, -1)
    at = np.minimum(first + choice, len(cast.device_of) - 1)
    oldest = np.minimum(first, len(cast.device_of) - 1)
    unknown = cast.device_seen[cast.device_of[at]] > visit.at
    return np.where(count > 0, cast.device_of[np.where(unknown, oldest, at)], -1)


def _page(
    rng: np.random.Generator, cast: Cast, person: Array, what: Array, product: Array, opening: Array
) -> tuple[Array, Array, Array]:
    m = len(what)
    page = np.where(opening, draw(rng, (6, 2, 0.2, 1, 0.2, 0.8), m), rng.integers(0, 6, m))
    path, title = pick(_PAGES, page), pick(_TITLES, page)
    handles = np.array([f"/products/{i}" for i in cast.product_id], object)
    shown = product >= 0
    path[shown], title[shown] = handles[product[shown]], cast.product_name[product[shown]]
    for code, its_path, its_title in (
        (SEARCH, "/search", "Search"), (CHECKOUT, "/checkout", "Checkout"),
        (SIGN_UP, "/account/register", "Create account"), (SIGN_IN, "/account/login", "Sign in"),
        (ORDERED, "/checkout/thank-you", "Thank you"), (REVIEWED, "/account/reviews", "Review"),
        (REFERRED, "/account/invite", "Invite a friend"), (HELPED, "/pages/help", "Help"),
    ):  # fmt: skip
        path[what == code], title[what == code] = its_path, its_title
    search = np.full(m, None, object)
    for language, terms in _SEARCHES.items():
        of = np.flatnonzero((what == SEARCH) & (cast.language[person] == language))
        search[of] = pick(terms, rng.integers(0, len(terms), len(of)))
    return path, title, search
