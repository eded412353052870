from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.adapters.webdav_listing import Entry, members
from shared.errors import BadInputError

BASE = "http://station:8080/pub/NOMINAL/S2A/"
WHEN = datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC)


def listing(*responses: str) -> bytes:
    return f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{"".join(responses)}</D:multistatus>'.encode()


def file(href: str, size: str = "10", date: str = "Sun, 22 Nov 2026 10:00:05 GMT") -> str:
    props = f"<D:getcontentlength>{size}</D:getcontentlength><D:getlastmodified>{date}</D:getlastmodified>"
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype/>{props}</D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )


def folder(href: str) -> str:
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>"
        "</D:prop></D:propstat><D:propstat><D:prop><D:getcontentlength/></D:prop>"
        "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>"
    )


@pytest.mark.parametrize(
    "prefix", ["/pub/NOMINAL/S2A/", BASE, "", "./", "http://station:8080/pub/NOMINAL/%53%32A/", "/pub//NOMINAL/S2A/"]
)
def test_hrefs_absolute_relative_and_encoded(prefix: str) -> None:
    document = listing(folder(prefix), folder(f"{prefix}a%20b/"), folder(f"{prefix}c"), file(f"{prefix}x.raw"))
    assert list(members(document, BASE)) == [
        Entry("a b", folder=True, size=0, modified=None),
        Entry("c", folder=True, size=0, modified=None),
        Entry("x.raw", folder=False, size=10, modified=WHEN),
    ]


@pytest.mark.parametrize(
    ("href", "name"),
    [
        ("/pub/NOMINAL/S2A/../../x", "../../x"),
        ("/pub/NOMINAL/S2A/%2e%2e/%2e%2e/x", "../../x"),
        ("/pub/NOMINAL/S2A/..%2F..%2Fx", "../../x"),
        ("../x", "../x"),
        ("/etc/passwd", "/etc/passwd"),
        ("http://elsewhere/pub/NOMINAL/S2A/x", "http://elsewhere/pub/NOMINAL/S2A/x"),
        ("/pub/NOMINAL/S2A/deep/x", "deep/x"),
        ("http://[broken/x", "/http://[broken/x"),
        ("/pub/NOMINAL/S2A/a%0Ab", "a\nb"),
        ("/pub/NOMINAL/S2A/a%5Cb", "a\\b"),
    ],
)
def test_what_leaves_the_folder_is_named_and_not_plain(href: str, name: str) -> None:
    (found,) = members(listing(file(href)), BASE)
    assert found.name == name
    assert not found.plain


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not XML",
        b"<other/>",
        b'<?xml version="1.0" encoding="unheard-of"?><multistatus xmlns="DAV:"/>',
        b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "b">]><multistatus xmlns="DAV:">&a;</multistatus>',
        b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d>&a;</d>',
    ],
)
def test_no_multistatus_document(document: bytes) -> None:
    with pytest.raises(BadInputError, match="listing of http://station"):
        list(members(document, BASE))


@pytest.mark.parametrize("size", ["", "-5", "ten", "²", "1e9"])
def test_a_size_that_is_none_is_zero(size: str) -> None:
    (found,) = members(listing(file("x", size=size)), BASE)
    assert found.size == 0


@pytest.mark.parametrize("date", ["", "yesterday", "32 Foo 2026", "Sun, 22 Nov 99999 10:00:05 GMT"])
def test_a_date_that_is_none(date: str) -> None:
    (found,) = members(listing(file("x", date=date)), BASE)
    assert found.modified is None


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
def test_any_name_comes_back_or_is_not_plain(name: str) -> None:
    assume(name not in {".", ".."})
    (found,) = members(listing(file(f"/pub/NOMINAL/S2A/{quote(name, safe='')}")), BASE)
    assert found.name == name
    assert found.plain == ("/" not in name and "\\" not in name and name.isprintable())
