"""Credentials of an OData service over HTTP: basic, tokens and their renewal, and where a redirect takes them."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from shared.adapters.cadip import CadipStation
from shared.adapters.odata_auth import Credentials
from shared.errors import BadInputError, ConfigurationError, RetryableError, S2psError, StationUnavailableError
from shared.places import StationSettings, in_clear
from tests.support.cadip_server import CadipServer

SESSION = "S2A_20261122100000000123"
NAME = f"DCS_05_{SESSION}_ch1_DSDB_00001.raw"
BODY = bytes(range(256)) * 40


@pytest.fixture
def cadip() -> Iterator[CadipServer]:
    with CadipServer().serving() as server:
        server.session(SESSION)
        server.file(NAME, BODY)
        yield server


def path(cadip: CadipServer) -> str:
    return f"Files({cadip.files[0]['Id']})"


def station(cadip: CadipServer, **more: Any) -> CadipStation:
    return CadipStation(cadip.settings(**more))


def read(found: CadipStation, cadip: CadipServer, start: int = 0) -> bytes:
    return b"".join(found.read(path(cadip), start=start))


# basic ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("in_auth", [True, False])
def test_basic_authentication(cadip: CadipServer, in_auth: bool) -> None:
    cadip.auth = "basic"
    pair = {"user": cadip.user, "password": cadip.password}
    more: dict[str, Any] = {"auth": {"kind": "basic"} | pair} if in_auth else pair
    assert list(station(cadip, **more).sessions()) == [("NOMINAL", "S2A", SESSION)]
    assert read(station(cadip, **more), cadip) == BODY


def test_wrong_credentials_are_a_wrong_setting_and_are_not_told(cadip: CadipServer) -> None:
    cadip.auth = "basic"
    wrong = station(cadip, user="us", password="hush-hush")
    for attempt in (lambda: list(wrong.sessions()), lambda: read(wrong, cadip)):
        with pytest.raises(ConfigurationError, match="401") as raised:
            attempt()
        assert "hush-hush" not in str(raised.value)


# tokens ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("client", ["body", "basic"])
@pytest.mark.parametrize("grant", ["password", "client_credentials"])
@pytest.mark.parametrize("header", ["Authorization", "OAUTH2-ACCESS-TOKEN"])
def test_oauth2(cadip: CadipServer, grant: str, client: Any, header: str) -> None:
    cadip.auth, cadip.client, cadip.token_header = "oauth2", client, header
    found = station(cadip, auth=cadip.oauth2(grant=grant, client_auth=client, token_header=header))
    assert list(found.sessions()) == [("NOMINAL", "S2A", SESSION)]
    assert read(found, cadip) == BODY
    (asked,) = cadip.asked("token")
    assert asked.form["grant_type"] == grant
    assert ("client_secret" in asked.form) == (client == "body")


def test_a_token_that_is_refused_in_the_middle_is_renewed_once(cadip: CadipServer) -> None:
    cadip.auth = "oauth2"
    found = station(cadip, auth=cadip.oauth2())
    assert read(found, cadip) == BODY
    cadip.revoked.add("token-1")
    assert read(found, cadip, start=100) == BODY[100:]
    assert cadip.tokens == ["token-1", "token-2"]
    assert [each.form["grant_type"] for each in cadip.asked("token")] == ["password", "refresh_token"]


def test_a_service_that_refuses_every_token_is_not_asked_for_ever(cadip: CadipServer) -> None:
    cadip.auth, cadip.revoked = "oauth2", {f"token-{n}" for n in range(99)}
    with pytest.raises(ConfigurationError, match="401"):
        read(station(cadip, auth=cadip.oauth2()), cadip)
    assert len(cadip.tokens) == 2


def test_requests_that_were_refused_together_renew_one_token(cadip: CadipServer) -> None:
    cadip.auth = "oauth2"
    found = station(cadip, auth=cadip.oauth2(), parallel=6)
    read(found, cadip)
    cadip.revoked.add("token-1")
    together = threading.Barrier(6)

    def fetch(_: int) -> bytes:
        together.wait(10)
        return read(found, cadip)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(fetch, range(6))) == {BODY}
    assert cadip.tokens == ["token-1", "token-2"]


def credentials(cadip: CadipServer, clock: Callable[[], float], **more: Any) -> Credentials:
    import urllib3

    auth = cadip.settings(auth=cadip.oauth2(**more)).access
    return Credentials("station TST_", auth, urllib3.PoolManager(retries=False), clock)


@pytest.mark.parametrize(
    ("says", "refreshes", "grants"),
    [
        (1800, True, ["password", "refresh_token"]),
        (None, True, ["password", "refresh_token"]),
        (0, True, ["password", "refresh_token"]),
        (None, False, ["password", "refresh_token", "password"]),
        (100, True, ["password", "password"]),
    ],
    ids=["lasting", "quirk-without-refresh_expires_in", "quirk-zero", "refused", "over"],
)
def test_a_token_is_renewed_before_it_ends(
    cadip: CadipServer, says: int | None, refreshes: bool, grants: list[str]
) -> None:
    cadip.refresh_says, cadip.refreshes = says, refreshes
    now = 0.0
    found = credentials(cadip, lambda: now)
    assert found.headers() == {"Authorization": "Bearer token-1"}
    now = 265
    assert found.headers() == {"Authorization": "Bearer token-1"}
    now = 275
    assert found.headers() == {"Authorization": "Bearer token-2"}
    assert [each.form["grant_type"] for each in cadip.asked("token")] == grants


@pytest.mark.parametrize("lives", [None, "300", "long", -1, 5])
def test_lives_of_tokens_as_services_write_them(cadip: CadipServer, lives: Any) -> None:
    cadip.lives_s = lives
    now = 0.0
    found = credentials(cadip, lambda: now)
    found.headers()
    now = 2.0
    assert found.headers() == {"Authorization": "Bearer token-1"}
    now = 299.0
    assert len(set(itertools.chain(found.headers().values(), found.headers().values()))) == 1
    assert len(cadip.tokens) == (1 if lives in {None, "long", -1} else 2)


def test_a_refused_grant_is_a_wrong_setting_and_tells_no_secret(cadip: CadipServer) -> None:
    cadip.auth = "oauth2"
    with pytest.raises(ConfigurationError, match="TST_") as raised:
        list(station(cadip, auth=cadip.oauth2(client_secret="wrong-hush")).sessions())
    assert "hush" not in str(raised.value)
    assert cadip.password not in str(raised.value)


def test_a_token_service_that_is_down_may_come_back(cadip: CadipServer) -> None:
    cadip.auth = "oauth2"
    with pytest.raises(StationUnavailableError, match="no token"):
        list(station(cadip, auth=cadip.oauth2(token_url="http://127.0.0.1:9/token")).sessions())


@pytest.mark.parametrize("token", ["a\r\nX-Header: b", "", 7, None, "é", "a\x00b"])
def test_a_token_that_would_break_a_header_is_refused(
    cadip: CadipServer, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cadip, "grant", lambda _form, _headers: {"access_token": token})
    with pytest.raises(BadInputError, match="access_token"):
        credentials(cadip, lambda: 0.0).headers()


# redirects ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["basic", "oauth2"])
def test_quirk_a_redirect_on_the_same_origin_keeps_credentials_and_range(
    cadip: CadipServer, kind: Any, status: int
) -> None:
    """Neustrelitz: 307, and then 401 to who comes without them."""
    cadip.auth, cadip.redirect, cadip.redirect_to, cadip.place_wants = kind, status, "same", "credentials"
    pair = {"kind": "basic", "user": cadip.user, "password": cadip.password}
    found = station(cadip, auth=pair if kind == "basic" else cadip.oauth2())
    assert read(found, cadip, start=300) == BODY[300:]
    assert cadip.asked("store") == []  # the place's path ends in the file's id
    assert cadip.requests[-1].path.startswith("/store/")
    assert cadip.requests[-1].headers["range"] == "bytes=300-"


@pytest.mark.parametrize("kind", ["basic", "oauth2"])
@pytest.mark.parametrize("header", ["Authorization", "OAUTH2-ACCESS-TOKEN"])
def test_a_redirect_elsewhere_gets_no_credentials(cadip: CadipServer, kind: Any, header: str) -> None:
    """A pre-signed address; another port is another origin."""
    cadip.auth, cadip.token_header, cadip.redirect, cadip.place_wants = kind, header, 307, "none"
    pair = {"kind": "basic", "user": cadip.user, "password": cadip.password}
    found = station(cadip, auth=pair if kind == "basic" else cadip.oauth2(token_header=header))
    assert read(found, cadip, start=300) == BODY[300:]
    place = cadip.requests[-1]
    assert (place.port, place.headers["range"]) == (cadip.other_port, "bytes=300-")
    assert {"authorization", "oauth2-access-token"}.isdisjoint(place.headers)


def test_quirk_another_host_that_wants_the_credentials_gets_them_where_it_is_named(cadip: CadipServer) -> None:
    cadip.auth, cadip.redirect, cadip.place_wants = "oauth2", 307, "credentials"
    with pytest.raises(ConfigurationError, match=r"after a redirect to 127\.0\.0\.1.*without.*redirect_hosts"):
        read(station(cadip, auth=cadip.oauth2()), cadip)
    assert len(cadip.tokens) == 1, "no token is renewed that was never refused"
    assert sum(each.path.startswith("/store/") for each in cadip.requests) == 1, "nor is the place asked twice"
    assert read(station(cadip, auth=cadip.oauth2(redirect_hosts=["127.0.0.1"])), cadip) == BODY


def test_quirk_a_place_on_the_same_origin_that_wants_none(cadip: CadipServer) -> None:
    cadip.auth, cadip.redirect, cadip.redirect_to, cadip.place_wants = "oauth2", 302, "same", "none"
    with pytest.raises(ConfigurationError, match="400"):
        read(station(cadip, auth=cadip.oauth2()), cadip)
    assert read(station(cadip, auth=cadip.oauth2(redirect_credentials=False)), cadip) == BODY


def test_a_token_refused_after_a_redirect_is_renewed(cadip: CadipServer) -> None:
    cadip.auth, cadip.redirect, cadip.redirect_to, cadip.place_wants = "oauth2", 307, "same", "credentials"
    found = station(cadip, auth=cadip.oauth2())
    read(found, cadip)
    cadip.revoked.add("token-1")
    assert read(found, cadip) == BODY


def test_redirects_have_an_end(cadip: CadipServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support import cadip_server

    def again(handler: Any, *_: Any) -> None:
        handler._json(307, {}, {"Location": handler.path})

    monkeypatch.setattr(cadip_server._Handler, "_entity", again)
    with pytest.raises(BadInputError, match="redirects"):
        read(station(cadip), cadip)
    assert len(cadip.requests) < 10


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[", "gopher:x"])
def test_redirects_lead_to_http_only(cadip: CadipServer, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support import cadip_server

    def away(handler: Any, *_: Any) -> None:
        handler._json(307, {}, {"Location": location})

    monkeypatch.setattr(cadip_server._Handler, "_entity", away)
    with pytest.raises(S2psError) as raised:
        read(station(cadip), cadip)
    assert not isinstance(raised.value, RetryableError)


def test_a_pre_signed_address_is_told_nowhere(cadip: CadipServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cadip.redirect = 307
    place = station(cadip, timeout_s=0.2)
    cadip.cut = lambda _id, _start: 10
    with pytest.raises(StationUnavailableError) as broken:
        read(place, cadip)
    cadip.other_port = 9
    with pytest.raises(StationUnavailableError) as away:
        read(place, cadip)
    told = f"{broken.value} {away.value} {caplog.text}"
    assert "Signature" not in told


# settings -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"auth": {"kind": "oauth2"}}, "token_url"),
        ({"auth": {"kind": "basic"}}, "user"),
        ({"auth": {"kind": "none"}, "user": "us"}, "beside user"),
        ({"protocol": "xbip", "auth": {"kind": "none"}}, "xbip"),
        ({"protocol": "edip"}, "protocol"),
        ({"satellites": []}, "satellites"),
    ],
)
def test_settings_that_cannot_be(fields: dict[str, Any], why: str) -> None:
    whole = {"name": "TST_", "protocol": "cadip", "url": "https://station.example/odata/v1"} | fields
    with pytest.raises(ValidationError, match=why):
        StationSettings.model_validate(whole)


def test_settings_come_through_json_with_their_secrets(cadip: CadipServer) -> None:
    for settings in (cadip.settings(auth=cadip.oauth2()), cadip.settings(user="us", password="hush")):
        again = StationSettings.model_validate(json.loads(json.dumps(in_clear(settings))))
        assert again == settings
        assert "hush" not in repr(settings)


def test_a_ca_file_that_is_not_there_is_a_wrong_setting(cadip: CadipServer) -> None:
    with pytest.raises(ConfigurationError, match="ca_file"):
        station(cadip, ca_file="/nowhere/ca.pem")
