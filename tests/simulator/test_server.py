"""The server's own part: vendors, journal, virtual time, faults on the wire, pages."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any

import orjson
import pytest
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.errors import SettingError
from ingestion.simulator.company import Company
from ingestion.simulator.credentials import environment
from ingestion.simulator.server import RunningServer, VendorApi, serving
from ingestion.simulator.server.faults import Fault
from ingestion.simulator.server.journal import body_intent, query_intent
from ingestion.simulator.server.tokens import Tokens, secret
from tests.simulator.small_story import DAY, PEOPLE, START, made, tell_small_story


def routes(api: VendorApi) -> list[Route]:
    """A vendor with tokens, a limit, pages and a job."""

    def token(request: Request) -> Response:
        return JSONResponse({"access_token": api.tokens.issue("access", 60)})

    def people(request: Request) -> Response:
        _, _, given = request.headers.get("authorization", "").partition(" ")
        if given != api.secret("api_key") and not api.tokens.valid(given, "access"):
            return JSONResponse({"category": "EXPIRED_AUTHENTICATION"}, 401)
        if (wait := api.limit("people", api.settings["calls"], 10)) is not None:
            return JSONResponse({"category": "RATE_LIMITS"}, 429, {"Retry-After": f"{wait:g}"})
        after = int(request.query_params.get("after", -1))
        rows = api.query(
            f"select document from {api.table('people')} where id::int > ?"
            " order by id::int limit 4",
            (after,),
        )
        if api.fault("repeated_cursor"):
            after -= 4
        paging = {"next": {"link": api.url(request, f"/people?after={after + 4}")}}
        return api.json([row[0] for row in rows], key="data.items", paging=paging, data={"n": 4})

    def broken(request: Request) -> Response:
        if "sort" in request.query_params:
            api.unsupported(request, "sort")
        raise RuntimeError("not for clients")

    return [
        Route("/token", token, methods=["POST"]),
        Route("/people", people),
        Route("/broken", broken),
    ]


TOY = ModuleType("toy")
TOY.__dict__.update(
    VENDOR="hubspot",
    SETTINGS={"calls": 1000},
    PROJECTIONS={"people": PEOPLE},
    routes=routes,
    FAULT_FORMS={"throttle": lambda request, options: JSONResponse({"policyName": "DAILY"}, 429)},
)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with pytest.MonkeyPatch.context() as patch:
        tell_small_story(patch)
        patch.setitem(sys.modules, "ingestion.simulator.vendors.hubspot", TOY)
        yield made(tmp_path_factory.mktemp("toy") / "company", 20, late_share=0)


@pytest.fixture(scope="module")
def running(company: Company) -> Iterator[RunningServer]:
    with serving(company, tls=False) as server:
        yield server


@pytest.fixture
def server(running: RunningServer) -> Iterator[RunningServer]:
    yield running
    running.simulator.clear()
    running.simulator.vendor("hubspot").settings["calls"] = 1000
    running.simulator.time.move(START + 20 * DAY)


def get(server: RunningServer, path: str = "/people", **options: Any) -> requests.Response:
    key = server.simulator.vendor("hubspot").secret("api_key")
    options = {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 5, **options}
    return requests.get(f"{server.url}/hubspot{path}", **options)


def plan(server: RunningServer, kind: str, **planned: Any) -> None:
    server.simulator.faults.add(Fault(kind=kind, **planned))


def test_a_page_is_joined_into_its_envelope_and_links_lead_back(server: RunningServer) -> None:
    page = get(server).json()
    assert page["data"] == {"n": 4, "items": [{"id": i} for i in range(4)]}
    assert page["paging"]["next"]["link"] == f"{server.url}/hubspot/people?after=3"
    linked = get(server, "/people?after=3").json()
    assert [item["id"] for item in linked["data"]["items"]] == [4, 5, 6, 7]


def test_a_vendor_is_found_by_host_and_by_path(server: RunningServer) -> None:
    for host in ("hubspot.sim.localhost:1234", "acme.hubspot.sim.localhost"):
        reply = requests.get(f"{server.url}/people", headers={"Host": host}, timeout=5)
        assert reply.status_code == 401
    assert requests.get(f"{server.url}/people", timeout=5).status_code == 404
    assert get(server, "/unknown").status_code == 404


def test_tls_holds_for_address_and_names(company: Company) -> None:
    with serving(company) as running:
        assert get(running, verify=str(running.authority)).status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            get(running)
    with serving(company) as again:  # the same authority: clients go on trusting
        assert get(again, verify=str(again.authority)).status_code == 200


def test_a_taken_port_is_named(company: Company) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingError, match=str(port)), serving(company, port=port):
            pass


def test_the_journal_says_what_was_asked_and_no_secret(server: RunningServer) -> None:
    key = server.simulator.vendor("hubspot").secret("api_key")
    token = requests.post(
        f"{server.url}/hubspot/token?hapikey={key}",
        data={"client_secret": key, "grant_type": "refresh_token", "note": f"it is {key}"},
        timeout=5,
    ).json()["access_token"]
    get(server, f"/people?after=1&q={token}&q=b", headers={"Authorization": f"Bearer {token}"})
    first, second = server.simulator.journal.entries("hubspot")
    assert (first["method"], first["path"], first["status"]) == ("POST", "/token", 200)
    assert first["body"]["grant_type"] == "refresh_token"
    assert second["query"] == {"after": "1", "q": ["(hidden)", "b"]}
    path = server.simulator.company.folder / "journal.ndjson"
    server.simulator.journal.write(path)
    written = path.read_text()
    assert len(written.splitlines()) == 2
    assert key not in written and token not in written
    assert server.simulator.journal.entries("shopify") == []


def test_the_journal_is_bounded(server: RunningServer) -> None:
    from ingestion.simulator.server.journal import Journal

    journal = Journal(bound=3)
    for _ in range(5):
        journal.add({"vendor": "hubspot"})
    assert [entry["n"] for entry in journal.entries()] == [3, 4, 5]
    assert journal.total == 5


def test_intents_hide_secrets_by_name_but_not_cursors() -> None:
    body = orjson.dumps({"apiKey": "a", "list": [{"password": "b"}], "pageToken": "c", "x": "d e"})
    assert body_intent(body, "application/json; charset=utf-8", ["d"]) == {
        "apiKey": "(hidden)", "list": [{"password": "(hidden)"}], "pageToken": "c",
        "x": "(hidden) e",
    }  # fmt: skip
    assert query_intent(b"access_token=a&skipToken=b&code=c", []) == {
        "access_token": "(hidden)", "skipToken": "b", "code": "(hidden)",
    }  # fmt: skip
    assert body_intent(b"{", "application/json", []) == "(1 bytes that are not JSON)"


def test_a_defect_of_the_server_is_no_fault(server: RunningServer) -> None:
    assert get(server, "/broken?sort=a").status_code == 500
    (entry,) = server.simulator.journal.entries()
    assert entry["unsupported"] == ["sort"]
    assert "not for clients" in entry["failure"]


def test_data_stand_still_while_a_client_waits(server: RunningServer) -> None:
    time, company = server.simulator.time, server.simulator.company
    control = f"{server.url}/__sim__/clock"
    assert len(get(server, "/people?after=18").json()["data"]["items"]) == 2
    requests.post(control, json={"wait": 90 * 86400}, timeout=5)
    assert time.now() - company.clock == 90 * DAY
    reply = get(server, "/people?after=18")
    assert len(reply.json()["data"]["items"]) == 2
    assert parsedate_to_datetime(reply.headers["Date"]) == company.clock == START + 20 * DAY
    said = requests.post(control, json={"seconds": 3600}, timeout=5).json()
    assert said["data"] == said["now"] == (START + 110 * DAY + timedelta(hours=1)).isoformat()
    assert len(get(server, "/people?after=18").json()["data"]["items"]) == 4
    requests.post(control, json={"to": (START + 5 * DAY).isoformat()}, timeout=5)
    assert len(get(server, "/people?after=4").json()["data"]["items"]) == 1
    assert requests.post(control, json={"to": "yesterday"}, timeout=5).status_code == 400
    assert requests.post(control, json={}, timeout=5).status_code == 400


def test_a_ticking_clock_moves_tokens_but_not_data(company: Company) -> None:
    with serving(company, tls=False, ticking=True, speed=1e9) as running:
        now = running.simulator.time.now()
        assert now > company.clock
        assert running.simulator.time.now() > now
        assert company.clock == START + 20 * DAY


def test_tokens_live_by_virtual_time(server: RunningServer) -> None:
    tokens = server.simulator.vendor("hubspot").tokens
    first, second, lasting = (tokens.issue("access", life) for life in (60, 60, None))
    assert first != second
    assert tokens.valid(first) and tokens.valid(first, "access")
    assert not tokens.valid(first, "refresh")
    tokens.revoke(second)
    assert not tokens.valid(second)
    assert not tokens.valid(first[:-1] + ("0" if first[-1] != "0" else "1")), "a forged one"
    server.simulator.time.wait(60)
    assert not tokens.valid(first) and tokens.valid(lasting)
    assert tokens.claims(first)["kind"] == "access"  # type: ignore[index]


def test_a_server_started_again_issues_no_token_that_is_dead() -> None:
    before, after = (Tokens("key", lambda: START) for _ in range(2))
    dead = before.issue("refresh", 60)
    assert after.valid(dead)
    after.revoke(dead)
    assert after.issue("refresh", 60) != dead


def test_a_client_is_given_what_the_server_knows(server: RunningServer) -> None:
    seed = server.simulator.company.seed
    known = server.simulator.vendor("hubspot").secret("api_key")
    assert known == secret(seed, "hubspot", "api_key") != secret(seed + 1, "hubspot", "api_key")
    assert environment(seed, {"news": "mailchimp"}) == {
        "SOURCES__NEWS__API_KEY": secret(seed, "mailchimp", "api_key")
    }


def test_a_limit_slides_with_virtual_time(server: RunningServer) -> None:
    api = server.simulator.vendor("hubspot")
    api.settings["calls"] = 2
    assert [get(server).status_code for _ in range(2)] == [200, 200]
    server.simulator.time.wait(4)
    refused = get(server)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "6")
    server.simulator.time.wait(6)
    assert get(server).status_code == 200


def test_jobs_go_on_with_virtual_time(server: RunningServer) -> None:
    api = server.simulator.vendor("hubspot")
    job = api.jobs.create("export", survey="S1")
    doomed = api.jobs.create("export", seconds=1, failed=True)
    assert api.jobs.get(job)["state"] == "queued"  # type: ignore[index]
    server.simulator.time.wait(1)
    assert api.jobs.get(job)["state"] == "running"  # type: ignore[index]
    assert api.jobs.get(doomed)["state"] == "failed"  # type: ignore[index]
    server.simulator.time.wait(4)
    found = api.jobs.get(job)
    assert found is not None and (found["state"], found["survey"]) == ("done", "S1")
    api.jobs.delete(job)
    assert api.jobs.get(job) is None and len(api.jobs.list("export")) == 1


# ---- faults on the wire -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "status", "retry_after", "kind_of_body"),
    [
        ("throttle", {}, 429, None, "json"),  # the vendor's own form
        ("throttle_text", {"retry_after": 9}, 429, "9", "text/plain"),
        ("throttle_date", {"retry_after": 60}, 429, "Sun, 26 Jan 2025 00:01:00 GMT", "json"),
        ("throttle_200", {}, 200, None, "json"),
        ("limit_exceeded", {}, 403, None, "json"),
        ("forbidden", {}, 403, None, None),
        ("server", {"status": 520}, 520, None, "text/html"),
        ("unauthorized", {}, 401, None, "json"),
        ("cursor_expired", {}, 410, None, "json"),
    ],
)
def test_replies_instead_of_the_vendors(
    server: RunningServer, kind: str, options: dict[str, Any], status: int,
    retry_after: str | None, kind_of_body: str | None,
) -> None:  # fmt: skip
    plan(server, kind, options=options)
    reply = get(server)
    assert (reply.status_code, reply.headers.get("Retry-After")) == (status, retry_after)
    assert (kind_of_body or "") in reply.headers.get("Content-Type", "")
    assert get(server).json()["data"]["items"], "the fault befell one request only"
    first, second = server.simulator.journal.entries()
    assert (first["faults"], second["faults"]) == ([kind], [])


def test_vendor_true_details() -> None:
    from ingestion.simulator.server.faults import REPLIES

    request = Request({"type": "http", "headers": []})
    said = orjson.loads(REPLIES["throttle_200"](request, {}).body)
    assert said["errors"][0]["extensions"]["code"] == "THROTTLED"
    said = orjson.loads(REPLIES["limit_exceeded"](request, {}).body)
    assert said[0]["errorCode"] == "REQUEST_LIMIT_EXCEEDED"
    for given, header in ((7, "7"), ("2.0", "2.0"), (None, None)):
        reply = REPLIES["throttle"](request, {"retry_after": given})
        assert reply.headers.get("Retry-After") == header


@pytest.mark.parametrize("kind", ["reset", "reset_after_headers", "short_body"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_breaks(company: Company, kind: str, tls: bool) -> None:
    with serving(company, tls=tls, planned=[Fault(kind=kind)]) as running:
        verify = str(running.authority)
        broken = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
        with pytest.raises(broken):
            get(running, verify=verify)
        assert get(running, verify=verify).status_code == 200


def test_a_body_is_cut_though_its_length_is_right(server: RunningServer) -> None:
    plan(server, "cut_json")
    plan(server, "cut_gzip", nth=2)
    reply = get(server)
    assert reply.status_code == 200 and int(reply.headers["Content-Length"]) == len(reply.content)
    with pytest.raises(requests.JSONDecodeError):
        reply.json()
    with suppress(requests.exceptions.ContentDecodingError):  # or what could be unpacked
        assert not get(server).content.endswith(b"}")
    assert get(server).json()


def test_a_reply_that_does_not_come(server: RunningServer) -> None:
    plan(server, "timeout", options={"seconds": 30})
    with pytest.raises(requests.ReadTimeout):
        get(server, timeout=0.2)
    assert get(server).status_code == 200


def test_a_token_expires_in_the_middle_of_a_run(server: RunningServer) -> None:
    token = requests.post(f"{server.url}/hubspot/token", timeout=5).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    plan(server, "token_expired", route="people", nth=2)
    assert [get(server, headers=headers).status_code for _ in range(3)] == [200, 401, 401]
    assert get(server, headers=headers).json() == {"category": "EXPIRED_AUTHENTICATION"}


def test_faults_of_paging_and_data(server: RunningServer) -> None:
    control = f"{server.url}/__sim__/faults"
    planned = [{"kind": "repeated_cursor", "nth": 2}, {"kind": "duplicate_rows", "nth": 2}]
    assert requests.post(control, json=planned, timeout=5).json() == {"planned": 2}
    first = get(server).json()
    second = get(server, "/people?after=3").json()
    assert second["paging"] == first["paging"]
    assert [item["id"] for item in second["data"]["items"]] == [4, 5, 6, 7, 7]
    assert server.simulator.journal.entries()[1]["faults"] == ["duplicate_rows", "repeated_cursor"]
    assert requests.post(control, json={"knd": "reset"}, timeout=5).status_code == 400


def test_a_link_elsewhere_and_a_clock_that_goes_wrong(server: RunningServer) -> None:
    plan(server, "foreign_link", options={"host": "evil.sim.localhost"})
    plan(server, "clock_skew", options={"seconds": -300})
    reply = get(server)
    assert reply.json()["paging"]["next"]["link"].startswith("http://evil.sim.localhost/")
    told = parsedate_to_datetime(reply.headers["Date"])
    assert told == server.simulator.company.clock - timedelta(minutes=5)


def test_requests_at_the_same_time_are_counted(server: RunningServer) -> None:
    plan(server, "timeout", times=3, options={"seconds": 0.5})

    def ask() -> None:
        with pytest.raises(requests.ConnectionError):
            get(server)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(entry["concurrent"] for entry in server.simulator.journal.entries()) == 3
    get(server)
    assert server.simulator.journal.entries()[-1]["concurrent"] == 1
