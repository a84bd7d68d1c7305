"""Who gets in, who does not, and what every answer says to browsers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from planners.dsg import UserError
from serving.rates import Rates
from serving.security import COOKIE, HEADERS, check_settings
from serving.settings import Settings
from tests.serving.api.conftest import GRAPH, TOKENS, MakeServed, Served

IDENT = "video_" + "0" * 32


def routes(served: Served) -> list[tuple[str, str]]:
    """Every method and address that the app has."""
    found = [
        (method, route.path.replace("{id}", IDENT))
        for route in served.app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    return [*found, ("GET", "/openapi.json"), ("GET", "/assets/none.js"), ("GET", "/nothing")]


@pytest.fixture
def guarded(make: MakeServed) -> Served:
    return make(tokens=TOKENS)


def test_every_address_but_the_open_ones_needs_a_token(guarded: Served) -> None:
    client = guarded.client()
    opened = {path for method, path in routes(guarded) if client.request(method, path).status_code != 401}
    # The page's own files, its signing in and the life sign.
    assert opened == {"/", "/plan.html", "/icon.svg", "/assets/none.js", "/v1/session", "/healthz"}
    for kind in ("content", "events", "dsg", "preview"):
        refused = client.get(f"/v1/videos/{IDENT}/{kind}")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    "header",
    ["Bearer wrong-token-of-some-length", "Basic YW5uOmFubg==", "Bearer", "Bearer ", TOKENS["ann"], "Bearer \xe9\xff"],
)
def test_wrong_tokens_are_refused(guarded: Served, header: str) -> None:
    response = guarded.client().get("/v1/videos", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert response.status_code == 401


def test_the_scheme_may_be_written_in_any_case(guarded: Served) -> None:
    assert guarded.client().get("/v1/videos", headers={"Authorization": f"bearer {TOKENS['ann']}"}).status_code == 200


def test_guessing_is_slowed_down(guarded: Served) -> None:
    client = guarded.client("not-a-token-at-all-no")
    answers = [client.get("/v1/videos").status_code for _ in range(70)]
    assert (answers[0], answers[-1]) == (401, 429)
    assert guarded.client(TOKENS["ann"]).get("/v1/videos").status_code == 200


def test_what_is_anothers_is_not_there(guarded: Served) -> None:
    ann, ben = (guarded.client(token) for token in TOKENS.values())
    ident = ann.post("/v1/videos", json={"dsg": GRAPH}).json()["id"]
    guarded.worker.work_once()
    for method, path, body in (
        ("GET", "", None), ("GET", "/content", None), ("GET", "/dsg", None), ("GET", "/events", None),
        ("GET", "/preview", None), ("POST", "/cancel", None), ("POST", "/remix", {"seed": 1}), ("DELETE", "", None),
    ):  # fmt: skip
        response = ben.request(method, f"/v1/videos/{ident}{path}", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "video_not_found"), path
    assert not ben.get("/v1/videos").json()["data"]
    assert ben.get("/v1/videos", params={"after": ident}).status_code == 400
    key = {"Idempotency-Key": "same"}
    assert ben.post("/v1/videos", json={"dsg": GRAPH}, headers=key).status_code == 200
    assert ann.get(f"/v1/videos/{ident}").json()["status"] == "completed"


def test_a_session_counts_as_its_token(guarded: Served) -> None:
    client = guarded.client()
    assert client.post("/v1/session", json={"token": "wrong"}).status_code == 401
    signed_in = client.post("/v1/session", json={"token": TOKENS["ann"]})
    cookie = signed_in.headers["set-cookie"]
    assert signed_in.status_code == 204
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="))
    assert TOKENS["ann"] not in cookie
    value = re.search(f"{COOKIE}=([^;]+)", cookie)
    assert value is not None
    ident = client.post("/v1/videos", json={"dsg": GRAPH}).json()["id"]
    assert client.get(f"/v1/videos/{ident}").status_code == 200
    assert guarded.client(TOKENS["ben"]).get(f"/v1/videos/{ident}").status_code == 404
    client.delete("/v1/session")
    assert client.get("/v1/videos").status_code == 401

    until, _, signature = value[1].partition(".")
    for forged in (
        f"{int(until) + 1}.{signature}", f"1.{signature}", until, f"{until}.", f"x.{signature}", f"{until}.{'0' * 64}",
        f"{'9' * 400}.{signature}",
    ):  # fmt: skip
        assert guarded.client(cookies={COOKIE: forged}).get("/v1/videos").status_code == 401, forged


def test_a_session_ends_with_its_token_and_its_time(
    guarded: Served, make: MakeServed, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = guarded.client().post("/v1/session", json={"token": TOKENS["ann"]}).cookies[COOKIE]
    other = make(tokens={**TOKENS, "ann": "another-long-secret-1"})
    assert make(tokens=TOKENS).client(cookies={COOKIE: cookie}).get("/v1/videos").status_code == 200
    assert other.client(cookies={COOKIE: cookie}).get("/v1/videos").status_code == 401
    monkeypatch.setattr("serving.security.time.time", lambda: 4e9)
    assert guarded.client(cookies={COOKIE: cookie}).get("/v1/videos").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "a@localhost", "[::1"]
)
def test_other_names_of_the_server_are_refused(shared: Served, host: str) -> None:
    response = shared.client().get("/v1/videos", headers={"Host": host})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machines_own_names_are_taken(shared: Served, host: str) -> None:
    assert shared.client().get("/v1/videos", headers={"Host": host}).status_code == 200


def test_names_may_be_allowed(make: MakeServed) -> None:
    client = make(tokens=TOKENS, host="0.0.0.0", allowed_hosts=["video.lab"]).client(TOKENS["ann"])
    assert client.get("/v1/videos", headers={"Host": "video.lab"}).status_code == 200
    assert client.get("/v1/videos", headers={"Host": "localhost"}).status_code == 400


def test_without_tokens_other_machines_are_refused(shared: Served) -> None:
    for address in ("192.0.2.7", "::ffff:192.0.2.7", "localhost.example"):
        assert shared.client(client=(address, 1)).get("/healthz").status_code == 403
    assert shared.client(client=("::1", 1)).get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://localhost:8000.evil.example"},
        {"Origin": "file://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_pages_are_refused(shared: Served, headers: dict[str, str]) -> None:
    client = shared.client(headers=headers)
    before = shared.store.counts()
    for method, path, body in (
        ("POST", "/v1/videos", {"prompt": "a"}),
        ("GET", "/v1/videos", None),
        ("GET", "/docs", None),
    ):
        response = client.request(method, path, json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "cross_site"), path
    upload = client.post("/v1/videos", data={"prompt": "a"}, files={"x": (None, "")})
    assert upload.status_code == 403
    assert shared.store.counts() == before


def test_the_own_page_may_ask_and_nobody_is_told_that_others_may(shared: Served) -> None:
    own = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    response = shared.client(headers=own).get("/v1/videos")
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]
    asked = shared.client().options(
        "/v1/videos", headers={"Origin": "http://localhost:8000", "Access-Control-Request-Method": "POST"}
    )
    assert asked.status_code == 405
    assert not [name for name in asked.headers if name.startswith("access-control")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None])
def test_only_json_is_taken_and_forms_where_files_are(shared: Served, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    for path in ("/v1/plans", f"/v1/videos/{IDENT}/remix", f"/v1/videos/{IDENT}/cancel", "/v1/session"):
        response = shared.client().post(path, content=b'{"prompt": "a"}', headers=headers)
        assert response.status_code == 415, (path, kind)


@pytest.mark.parametrize("path", ["/", "/healthz", "/docs", "/openapi.json", "/v1/videos", "/nothing", "/metrics"])
def test_every_answer_has_the_headers(shared: Served, path: str) -> None:
    response = shared.client().get(path)
    assert {name: response.headers[name] for name, _ in HEADERS} == dict(HEADERS)
    assert response.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in response.headers["content-security-policy"]
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert shared.client().get(path, headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert shared.client().get(path, headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"


def test_rates_are_limited_by_token(make: MakeServed) -> None:
    served = make(tokens=TOKENS, limits={"requests_per_minute": 5})
    answers = [served.client(TOKENS["ann"]).get("/v1/videos") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 13
    assert served.client(TOKENS["ben"]).get("/v1/videos").status_code == 200
    assert served.client(TOKENS["ann"]).get("/healthz").status_code == 200


def test_a_bucket_refills_evenly_and_is_never_fuller_than_full() -> None:
    now = [0.0]
    rates = Rates(60, clock=lambda: now[0])
    assert [rates.wait("a") for _ in range(60)] == [0.0] * 60
    assert rates.wait("a") == pytest.approx(1.0)
    now[0] = 1.5
    assert rates.wait("a") == 0
    assert rates.wait("a") == pytest.approx(0.5)
    assert rates.wait("b") == 0
    now[0] = 10_000
    assert [bool(rates.wait("a")) for _ in range(61)] == [False] * 60 + [True]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "video.lab", "127.0.0.1.evil.example"])
def test_other_addresses_demand_tokens(tmp_path: Path, host: str) -> None:
    with pytest.raises(UserError, match="tokens are demanded"):
        check_settings(Settings(folder=tmp_path, host=host))
    check_settings(Settings(folder=tmp_path, host=host, tokens=TOKENS))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_none(tmp_path: Path, host: str) -> None:
    check_settings(Settings(folder=tmp_path, host=host))


@pytest.mark.parametrize("token", ["", "short", "sixteen blanks in it", "sechzehn-zeichen-\xe4"])
def test_weak_tokens_are_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(UserError, match=r"token 'ann'.*visible ASCII"):
        check_settings(Settings(folder=tmp_path, tokens={"ann": token}))
    with pytest.raises(UserError, match="two names"):
        check_settings(Settings(folder=tmp_path, tokens={"ann": "x" * 16, "ben": "x" * 16}))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"planners": {"gpt": {}}}, "planner 'gpt': no such planner"),
        ({"planners": {}}, "at least one"),
        ({"models": ["nothing"]}, "no model of that name"),
        ({"models": ["stage-nano", "/x/stage-nano"]}, "is called 'stage-nano' too"),
    ],
)
def test_what_cannot_be_served_is_told_at_start(make: MakeServed, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(**settings)
