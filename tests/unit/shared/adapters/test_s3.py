from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.response import StreamingBody
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.s3 import S3Store
from shared.adapters.s3_client import meaning, store_errors, unquoted
from shared.adapters.s3_conditional import MARK
from shared.adapters.s3_multipart import MAX_PARTS, spans
from shared.errors import ConfigurationError, ObjectAbsentError, S2psError, StoreUnavailableError

WHEN = datetime(2026, 11, 22, tzinfo=UTC)


def refused(status: int, code: str = "", retries: int = 0) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": retries}}, "Op"
    )


class Client:
    """Answers each operation from a script: a value, or an error to raise."""

    def __init__(self, **script: list[Any]) -> None:
        self.script = script
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answer = self.script[name].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def head(body: bytes) -> dict[str, Any]:
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return {"ETag": f'"{digest}"', "ContentLength": len(body), "LastModified": WHEN, "Metadata": {"A": "b"}}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused(500, "InternalError"), StoreUnavailableError),
        (refused(503, "SlowDown"), StoreUnavailableError),
        (refused(429), StoreUnavailableError),
        (refused(403, "RequestTimeTooSkewed"), StoreUnavailableError),
        (refused(404, "NoSuchKey"), ObjectAbsentError),
        (refused(404), ObjectAbsentError),
        (refused(404, "NoSuchUpload"), ObjectAbsentError),
        (refused(404, "NoSuchBucket"), ConfigurationError),
        (refused(403, "AccessDenied"), ConfigurationError),
        (refused(403, "SignatureDoesNotMatch"), ConfigurationError),
        (refused(418), StoreUnavailableError),
    ],
)
def test_what_refusals_mean(error: ClientError, kind: type[S2psError]) -> None:
    found = meaning(error, "bucket/key")
    assert type(found) is kind
    assert "bucket/key" in str(found)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EndpointConnectionError(endpoint_url="http://x"), StoreUnavailableError),
        (ReadTimeoutError(endpoint_url="http://x"), StoreUnavailableError),
        (ConnectionResetError(), StoreUnavailableError),
        (NoCredentialsError(), ConfigurationError),
    ],
)
def test_what_failures_mean(error: Exception, kind: type[S2psError]) -> None:
    with pytest.raises(kind, match="b/k"), store_errors("b/k"):
        raise error


@pytest.mark.parametrize("etag", ["abc", '"abc"', 'W/"abc"', ' "abc" '])
def test_etags_have_no_quotes(etag: str) -> None:
    assert unquoted(etag) == "abc"


def test_if_match_is_sent_without_quotes() -> None:
    client = Client(put_object=[{"ETag": '"e"'}])
    assert S3Store(client).put_if("b", "k", b"", '"abc"')
    assert client.calls[0][1]["IfMatch"] == "abc"


class Racing(Client):
    """A client whose conditional write is answered by ``answer``; after it the store holds what ``there`` says.

    That is None (nothing), "ours" (what this request wrote) or an etag (of another's object, of whatever bytes).
    """

    def __init__(self, answer: ClientError, there: str | None) -> None:
        super().__init__(put_object=[answer])
        self.there = there

    def head_object(self, **_: Any) -> dict[str, Any]:
        if self.there is None:
            raise refused(404)
        sent = self.calls[0][1]
        marks = sent["Metadata"] if self.there == "ours" else {MARK: "another's"}
        return {**head(sent["Body"]), "ETag": self.there, "Metadata": marks}


REFUSED = refused(412, "PreconditionFailed")
CEPH_LOST_RACE = refused(500, "UnknownError")
CONFLICT = refused(409, "ConditionalRequestConflict")


@pytest.mark.parametrize("error", [REFUSED, CEPH_LOST_RACE, CONFLICT], ids=["412", "500", "409"])
def test_who_wrote_is_known_by_a_mark_not_by_the_bytes(error: ClientError) -> None:
    """The client, or a proxy before the store, sent the request again: its first copy may be what is there."""
    assert S3Store(Racing(error, "ours")).put_new("b", "k", b"same")
    assert S3Store(Racing(error, "ours")).put_if("b", "k", b"same", "before")
    assert not S3Store(Racing(error, "theirs")).put_new("b", "k", b"same")
    assert not S3Store(Racing(error, "theirs")).put_if("b", "k", b"same", "before")


@pytest.mark.parametrize("there", [None, "before"], ids=["gone", "as before"])
def test_an_error_after_which_the_race_is_open_is_an_error(there: str | None) -> None:
    store = S3Store(Racing(CEPH_LOST_RACE, there))
    with pytest.raises(StoreUnavailableError, match="b/k: answered 500"):
        store.put_new("b", "k", b"") if there is None else store.put_if("b", "k", b"", '"before"')


def test_the_mark_is_no_metadata_of_the_object() -> None:
    client = Client(put_object=[{"ETag": '"e"'}], head_object=[{**head(b""), "Metadata": {"A": "b", MARK: "x"}}])
    store = S3Store(client)
    store.put_new("b", "k", b"", metadata={"a": "b"})
    assert client.calls[0][1]["Metadata"].keys() == {"a", MARK}
    found = store.head("b", "k")
    assert found is not None
    assert found.metadata == {"a": "b"}


@pytest.mark.parametrize("there", [None, "before"], ids=["nothing", "as before"])
def test_while_another_write_is_under_way_the_race_is_not_lost(there: str | None) -> None:
    store = S3Store(Racing(CONFLICT, there))
    with pytest.raises(StoreUnavailableError, match="concurrent"):
        store.put_new("b", "k", b"") if there is None else store.put_if("b", "k", b"", "before")


class Broken(io.RawIOBase):
    """A stream that breaks after its bytes."""

    def __init__(self, body: bytes) -> None:
        self._parts: Iterator[bytes] = iter([body])

    def read(self, _size: int = -1) -> bytes:
        for part in self._parts:
            return part
        raise ConnectionResetError("cut")


def answer(body: bytes, *, broken: bool = False) -> dict[str, Any]:
    stream = Broken(body) if broken else io.BytesIO(body)
    return {**head(b"abcdef"), "Body": StreamingBody(stream, None)}


def test_a_read_goes_on_where_the_connection_broke() -> None:
    client = Client(get_object=[answer(b"abc", broken=True), answer(b"d", broken=True), answer(b"ef")])
    assert b"".join(S3Store(client).read("b", "k")) == b"abcdef"
    asked = [(a.get("Range"), a.get("IfMatch")) for _, a in client.calls]
    etag = hashlib.md5(b"abcdef", usedforsecurity=False).hexdigest()
    assert asked == [(None, None), ("bytes=3-", etag), ("bytes=4-", etag)]


def test_a_read_gives_up_in_the_end() -> None:
    client = Client(get_object=[answer(b"a", broken=True) for _ in range(9)])
    with pytest.raises(StoreUnavailableError):
        list(S3Store(client).read("b", "k"))
    assert len(client.calls) == 4


def test_a_read_never_mixes_two_objects() -> None:
    client = Client(get_object=[answer(b"abc", broken=True), *[refused(412, "PreconditionFailed")] * 3])
    got: list[bytes] = []
    with pytest.raises(StoreUnavailableError):
        got.extend(S3Store(client).read("b", "k"))
    assert got == [b"abc"]


def test_a_gone_record_is_not_replaced() -> None:
    assert not S3Store(Client(put_object=[refused(404, "NoSuchKey")])).put_if("b", "k", b"", "e")
    with pytest.raises(ConfigurationError):
        S3Store(Client(put_object=[refused(404, "NoSuchBucket")])).put_if("b", "k", b"", "e")


@given(st.integers(1, 1 << 50), st.integers(5 << 20, 1 << 30))
def test_spans_cover_a_file(size: int, part: int) -> None:
    if size // part > 20_000:
        size = part * 20_000
    found = spans(size, part)
    assert len(found) <= MAX_PARTS
    assert sum(length for _, _, length in found) == size
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert all(at == sum(length for _, _, length in found[:n]) for n, (_, at, _) in list(enumerate(found))[:3])
