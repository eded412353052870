"""The OData client over real HTTP: credentials, redirects, ranges, and paging with each quirk of services."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from shared.adapters import odata_auth
from shared.adapters.auxip import AuxipSource
from shared.adapters.odata import ODataService, RejectedQueryError
from shared.adapters.odata_paging import items, query_url
from shared.errors import BadInputError, ConfigurationError, ObjectAbsentError, StationUnavailableError
from shared.places import AuthSettings
from tests.support.odata_server import ODataServer

PASSWORD = SecretStr("p&w=d é")
START = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[ODataServer]:
    with ODataServer().serving() as serving:
        yield serving


def basic() -> AuthSettings:
    return AuthSettings(kind="basic", user="us", password=PASSWORD)


def by_password(server: ODataServer, **more: Any) -> AuthSettings:
    return AuthSettings(
        kind="oauth2", user="us", password=PASSWORD, token_url=server.token_url, client_id="s2ps", **more
    )


def client(auth: AuthSettings | None = None) -> ODataService:
    return ODataService("AUXIP test", auth or AuthSettings(), timeout_s=5)


def source(server: ODataServer, auth: AuthSettings | None = None, page: int = 5) -> AuxipSource:
    return AuxipSource("test", server.url, client(auth), page=page)


def fill(server: ODataServer, count: int) -> list[str]:
    """Products a minute apart, two of each moment."""
    return [server.publish(f"S2_{n:03d}", b"x", START + timedelta(minutes=n // 2)).name for n in range(count)]


def listed(of: AuxipSource, since: datetime = START) -> list[str]:
    return [product.name for product in of.published(since)]


def body(of: AuxipSource, product: str, start: int = 0) -> bytes:
    return b"".join(of.read(product, start=start))


# paging -------------------------------------------------------------------------------------------------------
QUIRKS: dict[str, dict[str, Any]] = {
    "by $skip": {},
    "by whole links": {"links": True},
    "by relative links": {"links": True, "relative": True},
    "a page is capped below what was asked for, without a link": {"most": 2},
    "a page is capped, with a link": {"most": 2, "links": True},
    "$top is ignored": {"ignores": frozenset({"$top"})},
    "no paging at all": {"ignores": frozenset({"$top", "$skip"})},
    "the order is another": {"unsorted": True},
    "the order is not looked at": {"ignores": frozenset({"$orderby"})},
    "ge is rejected": {"rejects": frozenset({"ge", "le"})},
    "the name filter is ignored": {"ignores": frozenset({"$filter"})},
}


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS.keys())
@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10, 13])
def test_every_product_is_listed_once(server: ODataServer, quirk: dict[str, Any], count: int) -> None:
    for key, value in quirk.items():
        setattr(server, key, value)
    names = fill(server, count)
    assert sorted(listed(source(server))) == names


@given(count=st.integers(0, 12), page=st.integers(1, 6), most=st.integers(1, 5), links=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_size_of_pages_every_product_is_listed_once(
    server: ODataServer, count: int, page: int, most: int, links: bool
) -> None:
    server.products.clear()
    server.most, server.links = most, links
    names = fill(server, count)
    assert sorted(listed(source(server, page=page))) == names


def test_what_is_published_while_it_is_listed_is_listed_too(server: ODataServer) -> None:
    fill(server, 8)

    def publish(query: int) -> None:
        if query == 2:
            # One at the end, and one that became visible late and shifts all that follows.
            server.publish("S2_last", b"x", START + timedelta(hours=1))
            server.publish("S2_late", b"x", START)

    server.before_list = publish
    names = listed(source(server))
    assert len(names) == len(set(names))
    assert {f"S2_{n:03d}" for n in range(8)} | {"S2_last"} <= set(names)


def test_ties_with_the_begin_are_listed(server: ODataServer) -> None:
    fill(server, 6)
    since = START + timedelta(minutes=1)
    assert listed(source(server), since) == [f"S2_{n:03d}" for n in range(2, 6)]
    server.rejects = frozenset({"ge"})
    asking = source(server)
    for _ in range(2):
        assert listed(asking, since) == [f"S2_{n:03d}" for n in range(2, 6)]
    assert sum(" ge ".replace(" ", "%20") in path for path in server.listed()) == 3  # two before, one that was rejected


def test_other_missions_are_not_asked_for(server: ODataServer) -> None:
    server.publish("S1A_AUX", b"x", START)
    names = fill(server, 2)
    assert listed(source(server)) == names


def test_a_link_where_nothing_follows_ends_the_list() -> None:
    answers = {"http://h/P?$top=2": {"value": [{"Id": "1"}], "@odata.nextLink": "P?$top=2"}}
    assert list(items(answers.__getitem__, "http://h/P", {}, 2)) == [{"Id": "1"}]


def test_links_without_end_are_refused() -> None:
    def fetch(url: str) -> Any:
        return {"value": [], "@odata.nextLink": f"{url}1"}

    with pytest.raises(BadInputError, match="an end within 7 pages"):
        list(items(fetch, "http://h/P", {}, 2, most_pages=7))


@pytest.mark.parametrize(
    "link", ["http://evil/P", "https://h/P", "http://h:81/P", "//evil/P", "http://[/", "file:///etc", 7]
)
def test_a_link_to_elsewhere_is_not_followed(link: Any) -> None:
    with pytest.raises(BadInputError, match=r"nextLink|link in an answer"):
        list(items(lambda _url: {"value": [], "@odata.nextLink": link}, "http://h/P", {}, 2))


@pytest.mark.parametrize("answer", [[], {}, {"value": None}, {"value": {}}, {"value": [1]}, "x", None])
def test_what_is_no_list_is_refused(answer: Any) -> None:
    with pytest.raises(BadInputError, match="answer of http://h/P"):
        list(items(lambda _url: answer, "http://h/P", {}, 2))


def test_a_query_is_encoded_so_that_all_services_read_it() -> None:
    url = query_url("http://h/P", {"$filter": "Name eq 'a+b&c' and D ge 2026-01-01T00:00:00Z"})
    assert url == "http://h/P?$filter=Name%20eq%20'a%2Bb%26c'%20and%20D%20ge%202026-01-01T00:00:00Z"


# products -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (START, 1, "", "")),
        ({"PublicationDate": None, "ContentLength": None}, (None, None, "", "")),
        ({"PublicationDate": "2026-11-22T09:00:00.1234567Z"}, (START + timedelta(microseconds=123456), 1, "", "")),
        ({"PublicationDate": "2026-11-22T10:00:00+01:00"}, (START, 1, "", "")),
        ({"PublicationDate": "2026-11-22T09:00:00"}, (START, 1, "", "")),
        ({"PublicationDate": "soon", "ContentLength": "12"}, (None, None, "", "")),
        ({"Checksum": [{"Algorithm": "md5", "Value": "A" * 32}]}, (START, 1, "a" * 32, "")),
        ({"Checksum": [{"Algorithm": "SHA-256", "Value": "b" * 64}, None]}, (START, 1, "", "b" * 64)),
        (
            {"Checksum": [{"Algorithm": "MD5", "Value": "short"}, {"Algorithm": "BLAKE3", "Value": "c"}]},
            (START, 1, "", ""),
        ),
        ({"Checksum": [{"Algorithm": None, "Value": None}]}, (START, 1, "", "")),
    ],
)
def test_a_product_is_read_whatever_of_it_is_null(server: ODataServer, fields: dict[str, Any], expected: Any) -> None:
    server.publish("S2_1", b"x", START, **fields)
    (product,) = source(server).published(START)
    assert (product.published, product.size, product.md5, product.sha256) == expected


@pytest.mark.parametrize("fields", [{"Id": None}, {"Name": None}, {"Id": "../x"}, {"Id": 7}])
def test_a_product_without_a_name_or_an_id_does_not_hide_the_others(
    server: ODataServer, fields: dict[str, Any]
) -> None:
    server.publish("S2_1", b"x", START, **fields)
    server.publish("S2_2", b"x", START)
    assert listed(source(server)) == ["S2_2"]


# bytes and redirects ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [0, 301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_followed_without_credentials(server: ODataServer, status: int) -> None:
    server.auth, server.redirect = "basic", status
    held = server.publish("S2_1", b"content", START)
    assert body(source(server, basic()), held.id) == b"content"
    sent = [given for host, _, given in server.requests if host.startswith("localhost")]
    assert sent == ([""] if status else [])


def test_a_redirect_on_the_same_host_keeps_the_credentials(server: ODataServer) -> None:
    server.auth, server.redirect, server.redirect_here = "basic", 307, True
    held = server.publish("S2_1", b"content", START)
    assert body(source(server, basic()), held.id) == b"content"
    assert [bool(given) for _, _, given in server.requests] == [True, True]


def test_a_host_that_is_named_gets_the_credentials_too(server: ODataServer) -> None:
    server.redirect = 307
    held = server.publish("S2_1", b"content", START)
    auth = basic().model_copy(update={"redirect_hosts": ("localhost",)})
    with pytest.raises((RejectedQueryError, ConfigurationError)):  # this store refuses them: it got them
        body(source(server, auth), held.id)


@pytest.mark.parametrize("ignore", [False, True])
def test_bytes_are_read_from_where_they_broke_off(server: ODataServer, ignore: bool) -> None:
    server.ignore_range, server.redirect = ignore, 307
    held = server.publish("S2_1", b"0123456789", START)
    assert body(source(server), held.id, start=4) == b"456789"
    assert body(source(server), held.id, start=10) == b""


def test_a_line_that_breaks_is_unavailable_and_not_the_end(server: ODataServer) -> None:
    server.cut = 3
    held = server.publish("S2_1", b"0123456789", START)
    with pytest.raises(StationUnavailableError, match="AUXIP test"):
        body(source(server), held.id)


def test_what_is_not_there_is_absent(server: ODataServer) -> None:
    with pytest.raises(ObjectAbsentError):
        body(source(server), "7")
    with pytest.raises(BadInputError, match="product id"):
        source(server).read("1)/x(2")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RejectedQueryError),
        (403, ConfigurationError),
        (404, ObjectAbsentError),
        (429, StationUnavailableError),
        (500, StationUnavailableError),
        (501, RejectedQueryError),
    ],
)
def test_each_status_is_an_error_of_its_class(server: ODataServer, status: int, error: type[Exception]) -> None:
    server.trouble = [status]
    with pytest.raises(error, match="AUXIP test"):
        client().get_json(f"{server.url}/Products?$top=1")


def test_a_moment_of_trouble_at_a_gateway_passes(server: ODataServer) -> None:
    server.trouble = [503, 502]
    fill(server, 1)
    assert listed(source(server)) == ["S2_000"]


def test_redirects_without_end_and_to_unsafe_places_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    service = client()

    def answer(location: str) -> Callable[..., urllib3.HTTPResponse]:
        return lambda *_a, **_k: urllib3.HTTPResponse(status=302, headers={"Location": location})

    monkeypatch.setattr(service._pool, "request", answer("http://h/again"))
    with pytest.raises(BadInputError, match="redirects"):
        service.get_json("http://h/P")
    for location in ("http://h/plain", "file:///etc/passwd", "ftp://h/x"):
        monkeypatch.setattr(service._pool, "request", answer(location))
        with pytest.raises(BadInputError, match="Location"):
            service.get_json("https://h/P")


def test_nobody_at_home_is_unavailable_and_a_query_is_not_told(server: ODataServer) -> None:
    with pytest.raises(StationUnavailableError) as caught:
        client().get_json("http://127.0.0.1:9/store/x?X-Amz-Signature=abc")
    assert "abc" not in str(caught.value)


def test_a_certificate_that_is_not_accepted_is_a_wrong_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    service = client(by_password(ODataServer(port=9)))

    def request(*_: Any, **__: Any) -> Any:
        raise urllib3.exceptions.MaxRetryError(
            None,  # type: ignore[arg-type]
            "/",
            urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed")),
        )

    monkeypatch.setattr(service._pool, "request", request)
    with pytest.raises(ConfigurationError, match="certificate"):
        service.get_json("https://h/P")


# credentials --------------------------------------------------------------------------------------------------
def test_basic_credentials_are_sent_in_utf_8(server: ODataServer) -> None:
    server.auth = "basic"
    fill(server, 1)
    assert listed(source(server, basic())) == ["S2_000"]
    with pytest.raises(ConfigurationError, match="401"):
        listed(source(server))


def test_a_token_by_password_is_fetched_once_and_used_by_all(server: ODataServer) -> None:
    server.auth = "oauth2"
    fill(server, 12)
    assert len(listed(source(server, by_password(server)))) == 12
    assert [grant["grant_type"] for grant in server.grants] == ["password"]
    assert "client_secret" not in server.grants[0]


def test_a_token_by_client_credentials(server: ODataServer) -> None:
    server.auth = "oauth2"
    fill(server, 1)
    auth = AuthSettings(
        kind="oauth2",
        grant="client_credentials",
        token_url=server.token_url,
        client_id="s2ps",
        client_secret=SecretStr("secret"),
        scope="odata",
    )
    assert listed(source(server, auth)) == ["S2_000"]
    assert server.grants[0]["scope"] == "odata"


def test_401_in_the_middle_makes_one_new_token(server: ODataServer) -> None:
    server.auth = "oauth2"
    fill(server, 12)
    asking = source(server, by_password(server))

    def revoke(query: int) -> None:
        if query == 2:
            server.tokens[-1] = "revoked"

    server.before_list = revoke
    assert len(listed(asking)) == 12
    assert [grant["grant_type"] for grant in server.grants] == ["password", "refresh_token"]


def test_401_again_is_a_wrong_configuration_and_not_a_loop(server: ODataServer) -> None:
    server.auth, server.trouble = "oauth2", [401, 401, 401]
    with pytest.raises(ConfigurationError, match="401"):
        listed(source(server, by_password(server)))
    assert len(server.requests) == 2


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def credentials(server: ODataServer) -> tuple[odata_auth.Credentials, Clock]:
    clock = Clock()
    return odata_auth.Credentials("AUXIP test", by_password(server), urllib3.PoolManager(), clock), clock


def test_a_token_is_renewed_before_it_ends(server: ODataServer) -> None:
    held, clock = credentials(server)
    first = held.headers()
    clock.now += 269
    assert held.headers() == first
    clock.now += 1
    assert held.headers() != first
    assert [grant["grant_type"] for grant in server.grants] == ["password", "refresh_token"]


def test_a_short_token_is_used_for_half_its_life(server: ODataServer) -> None:
    server.lives_s = 20
    held, clock = credentials(server)
    first = held.headers()
    clock.now += 9.9
    assert held.headers() == first
    clock.now += 0.2
    assert held.headers() != first


def test_a_token_of_which_nothing_is_said_lasts_until_it_is_refused(server: ODataServer) -> None:
    server.lives_s = None
    held, clock = credentials(server)
    first = held.headers()
    clock.now += 1e6
    assert held.headers() == first
    assert held.renew(first)
    assert held.headers() != first


def test_where_the_refresh_token_is_refused_the_password_is_used_again(server: ODataServer) -> None:
    held, clock = credentials(server)
    held.headers()
    server.refreshes = False
    clock.now += 300
    held.headers()
    assert [grant["grant_type"] for grant in server.grants] == ["password", "refresh_token", "password"]


def test_refused_credentials_are_a_wrong_configuration_that_tells_no_secret(server: ODataServer) -> None:
    auth = by_password(server).model_copy(update={"password": SecretStr("not-it")})
    with pytest.raises(ConfigurationError, match="refuses its credentials") as caught:
        client(auth).get_json(f"{server.url}/Products")
    assert "not-it" not in str(caught.value)


def test_a_token_service_that_is_down_is_unavailable_and_tells_no_secret() -> None:
    auth = by_password(ODataServer(port=9))
    with pytest.raises(StationUnavailableError, match="no token from") as caught:
        client(auth).get_json("http://127.0.0.1:9/Products")
    assert "p&w" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"access_token": 7}', b'{"access_token": "a\\nb"}'])
def test_an_answer_without_a_token_is_refused(answer: bytes) -> None:
    with pytest.raises(BadInputError, match="access_token"):
        credentials(ODataServer(port=9))[0]._read(answer, "http://h/token")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "basic"}, "user"),
        ({"kind": "oauth2", "client_id": "a", "user": "b"}, "token_url"),
        ({"kind": "oauth2", "token_url": "https://h/t", "user": "b"}, "client_id"),
        ({"kind": "oauth2", "token_url": "https://h/t", "client_id": "a"}, "user"),
        ({"kind": "oauth2", "token_url": "ftp://h/t"}, "token_url"),
    ],
)
def test_credentials_that_are_not_complete_are_refused_at_start(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        AuthSettings(**fields)
