"""Every fault of a vendor's API heals, or fails with a message that says what to do."""

import logging
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator

from ingestion.sources.api import (
    ApiError,
    ApiSession,
    Basic,
    ClientCredentials,
    RateLimit,
    RefreshToken,
    StaticHeader,
    Verdict,
)
from ingestion.sources.secrets import TokenStore, redact
from tests.ingestion.scripted import NOW, FakeClock, Reply, Vendor, serving

CANARY = "canary-7f3e/9b+1c"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def vendor(clock: FakeClock) -> Iterator[Vendor]:
    with serving(clock) as found:
        yield found


@pytest.fixture
def session(vendor: Vendor, clock: FakeClock) -> Callable[..., ApiSession]:
    def make(**options: Any) -> ApiSession:
        options.setdefault("auth", StaticHeader("X-Token", CANARY))
        return ApiSession(vendor.url, source="shop", clock=clock, **options)

    return make


GOOD = Reply({"id": 1})


@pytest.mark.parametrize(
    "fault",
    [
        Reply("slow down", 429, {"Content-Type": "text/plain"}),
        Reply("<html><h1>Bad gateway</h1></html>", 502, {"Content-Type": "text/html"}),
        Reply({}, 500),
        Reply({}, 503),
        Reply("", 520),
        Reply({"id": 1}, how="short"),
        Reply({"id": 1}, how="reset"),
        Reply({"id": 1}, how="hang"),
        Reply({"id": "long enough to be cut " * 9}, how="gzip_cut"),
        Reply('{"id": 1, "na'),
        Reply("<html>maintenance</html>", headers={"Content-Type": "text/html"}),
        Reply(""),
    ],
)
def test_a_passing_fault_heals_and_a_lasting_one_fails(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock, fault: Reply
) -> None:
    api = session(timeout=(1, 0.1))
    vendor.answer("/x", fault, fault, GOOD)
    assert api.get_json("/x") == {"id": 1}
    assert len(vendor.asked) == api.meter.requests == 3
    assert len(clock.sleeps) == 2
    assert api.meter.waited_seconds == sum(clock.sleeps)
    vendor.answer("/x", fault)
    api = session(timeout=(1, 0.1), attempts=3)
    with pytest.raises(ApiError, match=r"source 'shop': GET 127.*/x: .*given up after 3 tries"):
        api.get_json("/x")
    assert api.meter.requests == 3


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7),
        ("2.0", 2),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), 0),
    ],
)
def test_the_wait_asked_for_is_kept(
    vendor: Vendor,
    session: Callable[..., ApiSession],
    clock: FakeClock,
    asked: str,
    waited: float,
) -> None:
    vendor.answer("/x", Reply({}, 429, {"Retry-After": asked}), GOOD)
    session().get_json("/x")
    assert clock.sleeps == [waited]


def test_a_date_to_wait_for_is_read_by_the_vendors_clock(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    ahead = NOW + timedelta(minutes=5)
    headers = {
        "Date": format_datetime(ahead, usegmt=True),
        "Retry-After": format_datetime(ahead + timedelta(seconds=9), usegmt=True),
    }
    vendor.answer("/x", Reply({}, 429, headers), GOOD)
    session().get_json("/x")
    assert clock.sleeps == [9]


@pytest.mark.parametrize("asked", ["", "soon", "-5"])
def test_without_a_usable_wait_the_waits_grow_to_a_bound(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock, asked: str
) -> None:
    vendor.answer("/x", Reply({}, 429, {"Retry-After": asked} if asked else {}))
    with pytest.raises(ApiError, match="given up after 8 tries"):
        session().get_json("/x")
    assert len(clock.sleeps) == 7
    assert all(0 <= s <= min(120, 2 ** (i + 1)) for i, s in enumerate(clock.sleeps))
    assert len(set(clock.sleeps)) == 7


def test_a_long_wait_is_an_error_that_says_when(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    vendor.answer("/x", Reply({}, 429, {"Retry-After": "7200"}))
    with pytest.raises(ApiError, match=r"after 2026-05-01 14:00:00 UTC.*run it again then"):
        session().get_json("/x")
    assert clock.sleeps == []


def test_the_waits_of_one_request_are_bounded_together(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    vendor.answer("/x", Reply({}, 429, {"Retry-After": "110"}))
    with pytest.raises(ApiError, match="run it again then"):
        session().get_json("/x")
    assert clock.sleeps == [110] * 5


def test_the_declared_limits_hold_in_every_window(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    vendor.answer("/x", GOOD)
    vendor.answer("/search", GOOD)
    api = session(limits=(RateLimit(4, 10), RateLimit(2, 5, "^/search"), RateLimit(9, 60)))
    for i in range(20):
        api.get_json("/search" if i % 2 else "/x")
    for calls, span, path in ((4, 10, "/"), (2, 5, "/search"), (9, 60, "/")):
        times = [a.at for a in vendor.asked if a.path.startswith(path)]
        for first, later in zip(times, times[calls:], strict=False):
            assert later - first >= timedelta(seconds=span)
    assert clock.at - NOW == timedelta(seconds=120)  # 20 calls at 9 a minute


def test_the_vendors_own_signs_are_read(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    def judge(response: requests.Response) -> Verdict | None:
        body = response.json()
        if "THROTTLED" in str(body):
            return Verdict.wait(3)
        if "REQUEST_LIMIT" in str(body):
            return Verdict.fail("the day's quota is used up")
        return None

    api = session(judge=judge)
    vendor.answer("/x", Reply({"errors": ["THROTTLED"]}), GOOD)
    assert api.get_json("/x") == {"id": 1}
    assert clock.sleeps == [3]
    vendor.answer("/x", Reply([{"errorCode": "REQUEST_LIMIT"}], 403))
    with pytest.raises(ApiError, match="quota is used up") as failed:
        api.get_json("/x")
    assert failed.value.status == 403
    vendor.answer("/x", Reply("no json", 500), GOOD)
    assert api.get_json("/x") == {"id": 1}


def test_an_error_status_can_be_accepted(
    vendor: Vendor, session: Callable[..., ApiSession]
) -> None:
    vendor.answer("/x", Reply({"error": "gone"}, 410))
    assert session().call("GET", "/x", accept=(410,)).status_code == 410
    with pytest.raises(ApiError, match=r'HTTP 410: \{"error": "gone"\}') as failed:
        session().get_json("/x")
    assert failed.value.status == 410


def test_a_post_is_repeated_only_where_it_may(
    vendor: Vendor, session: Callable[..., ApiSession]
) -> None:
    for fault in (Reply({}, 500), Reply(how="reset"), Reply('{"cut')):
        vendor.answer("/search", fault, GOOD)
        assert session().post_json("/search", {"q": 1}) == {"id": 1}
        assert vendor.asked[-1].body == '{"q": 1}'
        vendor.answer("/jobs", fault, GOOD)
        before = len(vendor.asked)
        with pytest.raises(ApiError):
            session().post_json("/jobs", {}, idempotent=False)
        assert len(vendor.asked) == before + 1
    vendor.answer("/jobs", Reply({}, 429, {"Retry-After": "1"}), GOOD)
    assert session(retry_post=False).post_json("/jobs", {}) == {"id": 1}


def test_credentials_stay_with_their_host(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    with serving(clock) as other:
        other.answer("/file", GOOD)
        vendor.answer("/x", Reply("", 302, {"Location": f"{other.url}/file"}))
        vendor.answer("/y", Reply("", 307, {"Location": "/z"}))
        vendor.answer("/z", GOOD)
        api = session(headers={"X-Other": CANARY})
        assert api.get_json("/x") == {"id": 1}
        assert CANARY not in str(other.asked[-1].headers)
        assert api.get_json("/y") == {"id": 1}
        assert vendor.asked[-1].headers["x-token"] == CANARY
        plain = session()
        plain.get_json(f"{other.url}/file")
        assert CANARY not in str(other.asked[-1].headers)
        plain.trust(other.url)
        plain.get_json(f"{other.url}/file")
        assert other.asked[-1].headers["x-token"] == CANARY
        other.answer("/file", Reply({}, 401))
        with pytest.raises(ApiError, match="not the host of the settings"):
            session().get_json(f"{other.url}/file")
    vendor.answer("/x", Reply("", 302, {"Location": "/x"}))
    with pytest.raises(ApiError, match="more than 5 redirects"):
        session().get_json("/x")
    vendor.answer("/x", Reply("", 301, {"Location": "/z"}))
    with pytest.raises(ApiError, match=r"redirected to .*correct the address"):
        session().post_json("/x", {})


def test_a_netrc_is_not_consulted(
    vendor: Vendor,
    session: Callable[..., ApiSession],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    vendor.answer("/x", GOOD)
    session().get_json("/x")
    assert "authorization" not in vendor.asked[-1].headers


# --- tokens


def _token(number: int, **more: Any) -> Reply:
    return Reply({"access_token": f"access-{number}", "expires_in": 600, **more})


def test_a_token_is_renewed_before_it_ends_and_once_when_refused(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    auth = ClientCredentials(f"{vendor.url}/token", "me", CANARY, extra={"scope": "all"})
    api = session(auth=auth)
    vendor.answer("/token", _token(1, instance_url="https://eu"), _token(2), _token(3), _token(4))
    vendor.answer("/x", GOOD)

    def used() -> str:
        api.get_json("/x")
        return vendor.asked[-1].headers["authorization"]

    assert (used(), used()) == ("Bearer access-1", "Bearer access-1")
    assert dict(auth.reply(api)) == {"expires_in": 600, "instance_url": "https://eu"}
    assert "grant_type=client_credentials&scope=all&client_id=me" in vendor.asked[0].body
    clock.at += timedelta(seconds=539)
    assert used() == "Bearer access-1"
    clock.at += timedelta(seconds=1)
    assert used() == "Bearer access-2"
    vendor.answer("/x", Reply({}, 401), GOOD)
    assert used() == "Bearer access-3"
    vendor.answer("/x", Reply({}, 401))
    with pytest.raises(
        ApiError, match="check SOURCES__SHOP__CLIENT_ID, SOURCES__SHOP__CLIENT_SECRET"
    ):
        api.get_json("/x")
    assert [a.path for a in vendor.asked[-3:]] == ["/x", "/token", "/x"]


def test_a_refused_fixed_key_names_the_secret(
    vendor: Vendor, session: Callable[..., ApiSession]
) -> None:
    vendor.answer("/x", Reply({"message": f"bad key {CANARY}"}, 401))
    with pytest.raises(ApiError, match="check SOURCES__SHOP__API_TOKEN") as failed:
        session().get_json("/x")
    assert CANARY not in str(failed.value) + failed.value.body
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("style", ["form", "json"])
def test_a_refused_token_request_names_the_secrets(
    vendor: Vendor, session: Callable[..., ApiSession], style: Any
) -> None:
    refusal = Reply({"error": "invalid_client", "error_description": f"no {CANARY}"}, 400)
    vendor.answer("/token", refusal)
    auth = ClientCredentials(f"{vendor.url}/token", "me", CANARY, style=style, basic=True)
    with pytest.raises(ApiError, match=r"invalid_client.*SOURCES__SHOP__CLIENT_SECRET") as failed:
        session(auth=auth).get_json("/x")
    assert CANARY not in str(failed.value) + failed.value.body
    assert CANARY not in vendor.asked[0].body
    assert vendor.asked[0].headers["authorization"].startswith("Basic ")


def test_a_token_endpoint_out_of_order_is_waited_for(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    vendor.answer("/token", Reply({}, 503), Reply({}, 429, {"Retry-After": "4"}), _token(1))
    vendor.answer("/x", GOOD)
    auth = ClientCredentials(f"{vendor.url}/token", "me", CANARY)
    assert session(auth=auth).get_json("/x") == {"id": 1}
    assert clock.sleeps[1:] == [4]
    vendor.answer("/token", Reply({"token_type": "bearer"}))
    auth = ClientCredentials(f"{vendor.url}/token", "me", CANARY)
    with pytest.raises(ApiError, match="holds no access_token"):
        session(auth=auth).get_json("/x")


def test_a_rotated_refresh_token_is_kept_before_it_is_needed(
    vendor: Vendor, session: Callable[..., ApiSession], tmp_path: Path
) -> None:
    store = TokenStore(tmp_path / "tokens" / "shop.json")

    def auth(configured: str = "configured-1") -> RefreshToken:
        return RefreshToken(f"{vendor.url}/token", "me", CANARY, configured, store=store)

    def sent() -> str:
        return vendor.asked[-2].body

    vendor.answer("/token", _token(1, refresh_token="rotated-2"))
    vendor.answer("/x", Reply({"error": "the run dies here"}, 400))
    with pytest.raises(ApiError):
        session(auth=auth()).get_json("/x")
    assert sent().endswith("refresh_token=configured-1")
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert {p.name for p in store.path.parent.iterdir()} == {"shop.json", "shop.lock"}
    assert "configured-1" not in store.path.read_text()

    vendor.answer("/x", GOOD)
    vendor.answer("/token", _token(2, refresh_token="rotated-3"))
    session(auth=auth()).get_json("/x")
    assert sent().endswith("refresh_token=rotated-2")
    # authorised anew: what descends from the old token is not used any more
    session(auth=auth("configured-9")).get_json("/x")
    assert sent().endswith("refresh_token=configured-9")


def test_a_token_store_cut_short_is_as_none(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "shop.json")
    store.put("second-token", "first-token")
    assert store.current("first-token") == "second-token"
    store.path.write_text(store.path.read_text()[:20])
    assert store.current("first-token") == "first-token"


# --- secrets


def test_no_secret_in_errors_reprs_or_logs(
    vendor: Vendor,
    session: Callable[..., ApiSession],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    # a migration of Dagster's may have switched off every logger that was there
    monkeypatch.setattr(logging.getLogger("urllib3.connectionpool"), "disabled", False)
    basic = Basic("user", CANARY)
    api = session(auth=basic, attempts=2)
    vendor.answer(f"/x?key={CANARY}", Reply({"echo": CANARY}, 400))
    vendor.answer("/reset", Reply(how="reset"))
    texts = [repr(api), repr(basic), str(api), repr(api.credentials)]
    for url in (f"/x?key={CANARY}", f"/reset?sig={CANARY}", f"http://127.0.0.1:9/?k={CANARY}"):
        with pytest.raises(ApiError) as failed:
            api.get_json(url)
        texts.append(
            "".join(map(str, [failed.value, failed.value.body, failed.getrepr(chain=True)]))
        )
    sent = vendor.asked[0].headers["authorization"].removeprefix("Basic ")
    for text in [*texts, caplog.text]:
        assert CANARY not in text
        assert requests.utils.quote(CANARY, safe="") not in text
        assert sent not in text
    assert "GET" in caplog.text  # there was something to hide


def test_redaction_hides_every_spelling() -> None:
    StaticHeader("X", 'a"b/c d+e')
    for spelling in ('a"b/c d+e', "a%22b%2Fc%20d%2Be", "a%22b%2Fc+d%2Be", 'a\\"b/c d+e'):
        assert redact(f"<{spelling}>") == "<***>"
    assert redact("unchanged") == "unchanged"


# --- as a session of others


def test_dlts_client_pages_through_it(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    vendor.answer("/list", Reply({}, 503), Reply({"items": [1, 2], "next": "/list?p=2"}))
    vendor.answer("/list?p=2", Reply({}, 429, {"Retry-After": "2"}), Reply({"items": [3]}))
    api = session()
    client = RESTClient(vendor.url, session=api, paginator=JSONLinkPaginator("next"))
    assert [list(p) for p in client.paginate("/list", data_selector="items")] == [[1, 2], [3]]
    assert clock.sleeps[1] == 2
    assert api.meter.requests == 4
    assert vendor.asked[-1].headers["x-token"] == CANARY


def test_what_is_nearly_json_is_read(vendor: Vendor, session: Callable[..., ApiSession]) -> None:
    vendor.answer("/x", Reply('{"a": NaN, "b": 9007199254740993, "c": "\\ud83d"}'))
    assert session().get_json("/x") == {"a": "NaN", "b": 9007199254740993, "c": "\ud83d"}


def test_files_are_not_taken_for_json(vendor: Vendor, session: Callable[..., ApiSession]) -> None:
    vendor.answer("/f", Reply("a,b\n", headers={"Content-Type": "text/csv"}))
    assert session().call("GET", "/f", expect_json=False).text == "a,b\n"
    assert vendor.asked[-1].headers["accept-encoding"] == "identity"
    vendor.answer("/none", Reply("", 204))
    assert session().call("GET", "/none").content == b""


def test_an_unknown_certificate_is_no_passing_fault(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl
    from http.server import ThreadingHTTPServer
    from threading import Thread

    import trustme

    from tests.ingestion.scripted import _handler

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    vendor = Vendor(clock)
    vendor.answer("/x", GOOD)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(vendor))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_address[1]}"
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    try:
        with pytest.raises(ApiError, match="set ca_bundle, REQUESTS_CA_BUNDLE or SSL_CERT_FILE"):
            ApiSession(url, source="shop", clock=clock).get_json("/x")
        assert clock.sleeps == []
        good = ApiSession(url, source="shop", clock=clock, ca_bundle=str(tmp_path / "ca.pem"))
        assert good.get_json("/x") == {"id": 1}
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert ApiSession(url, source="shop", clock=clock).get_json("/x") == {"id": 1}
    finally:
        server.shutdown()
        server.server_close()


def test_the_vendors_clock_is_known(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    api = session()
    assert api.now() == NOW
    ahead = NOW + timedelta(minutes=5)
    vendor.answer("/x", Reply({}, headers={"Date": format_datetime(ahead, usegmt=True)}))
    api.get_json("/x")
    assert api.now() == ahead


def test_waits_are_the_same_in_every_run(
    vendor: Vendor, session: Callable[..., ApiSession], clock: FakeClock
) -> None:
    vendor.answer("/x", Reply({}, 500))
    for _ in range(2):
        with pytest.raises(ApiError):
            session(attempts=4).get_json("/x")
    assert clock.sleeps[:3] == clock.sleeps[3:]
