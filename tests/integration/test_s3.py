"""The S3 adapter against a real server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.adapters import s3_multipart
from shared.adapters.s3 import S3Store
from shared.errors import ConfigurationError, IntegrityError, ObjectAbsentError, StoreUnavailableError
from shared.settings import Settings

MIB = 1 << 20


@pytest.fixture
def store(s3_settings: Settings) -> S3Store:
    return S3Store.from_settings(s3_settings)


def pattern(size: int, seed: int = 0) -> bytes:
    block = hashlib.sha512(bytes([seed])).digest() * 1024
    return (block * (size // len(block) + 1))[:size]


def test_object_and_metadata_come_back(store: S3Store, bucket: str) -> None:
    etag = store.put(bucket, "a/b.json", b'{"x": 1}', metadata={"traceparent": "00-1-2-01"})
    body, info = store.get(bucket, "a/b.json")
    assert (body, info.etag, info.size) == (b'{"x": 1}', etag, 8)
    assert info.metadata == {"traceparent": "00-1-2-01"}
    assert '"' not in etag
    head = store.head(bucket, "a/b.json")
    assert head == info
    assert head.modified.tzinfo is not None


def test_absent_objects(store: S3Store, bucket: str, tmp_path: Path) -> None:
    assert store.head(bucket, "no") is None
    store.delete(bucket, "no")
    absent: list[Callable[[], object]] = [
        lambda: store.get(bucket, "no"),
        lambda: list(store.read(bucket, "no")),
        lambda: store.copy(bucket, "no", bucket, "to"),
        lambda: store.download(bucket, "no", tmp_path / "x"),
    ]
    for call in absent:
        with pytest.raises(ObjectAbsentError, match="no"):
            call()


def test_conditional_writes(store: S3Store, bucket: str) -> None:
    assert store.put_new(bucket, "k", b"1")
    assert not store.put_new(bucket, "k", b"2")
    etag = store.get(bucket, "k")[1].etag
    assert store.put_if(bucket, "k", b"3", f'"{etag}"'), "a quoted etag is understood too"
    assert not store.put_if(bucket, "k", b"4", etag)
    assert store.get(bucket, "k")[0] == b"3"
    assert not store.put_if(bucket, "gone", b"4", etag)
    assert store.head(bucket, "gone") is None


def test_sixteen_writers_have_one_winner(store: S3Store, bucket: str) -> None:
    barrier = threading.Barrier(16)

    def race(key: str, writer: int) -> bool:
        barrier.wait()
        return store.put_new(bucket, key, f"{writer}".encode())

    with ThreadPoolExecutor(16) as pool:
        for n in range(3):
            won = list(pool.map(lambda w, n=n: race(f"race/{n}", w), range(16)))
            assert sum(won) == 1
            assert store.get(bucket, f"race/{n}")[0] == f"{won.index(True)}".encode()


def test_of_writers_of_the_same_bytes_one_wins(store: S3Store, bucket: str) -> None:
    """And the others know that they did not: two who do the same work write the same record."""
    barrier = threading.Barrier(6)
    store.put(bucket, "same/swapped", b"before")
    before = store.get(bucket, "same/swapped")[1].etag

    def race(new: str, etag: str) -> tuple[bool, bool]:
        barrier.wait()
        created = store.put_new(bucket, new, b"the same")
        barrier.wait()
        return created, store.put_if(bucket, "same/swapped", b"after", etag)

    for n in range(10):
        store.put(bucket, "same/swapped", b"before")
        with ThreadPoolExecutor(6) as pool:
            won = list(pool.map(race, [f"same/{n}"] * 6, [before] * 6))
        assert [sum(created for created, _ in won), sum(swapped for _, swapped in won)] == [1, 1]


def test_compare_and_swap_loses_no_update(store: S3Store, bucket: str) -> None:
    store.put(bucket, "counter", b"0")

    def add(_: int) -> None:
        while True:
            body, info = store.get(bucket, "counter")
            if store.put_if(bucket, "counter", str(int(body) + 1).encode(), info.etag):
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(24)))
    assert store.get(bucket, "counter")[0] == b"24"


def test_listing_pages_prefixes_and_folders(store: S3Store, bucket: str) -> None:
    keys = [f"p/{a}/{n:04d}" for a in ("x", "y") for n in range(520)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(bucket, key, b"."), keys))
    assert [info.key for info in store.list(bucket, "p/")] == keys
    assert [info.key for info in store.list(bucket, "p/y/", start_after="p/y/0517")] == ["p/y/0518", "p/y/0519"]
    assert list(store.folders(bucket, "p/")) == ["p/x/", "p/y/"]
    assert list(store.list(bucket, "nothing/")) == []


def test_read_from_the_middle_and_beyond_the_end(store: S3Store, bucket: str) -> None:
    body = pattern(3 * MIB + 17)
    store.put(bucket, "big", body)
    chunks = list(store.read(bucket, "big", start=MIB + 1))
    assert b"".join(chunks) == body[MIB + 1 :]
    assert max(map(len, chunks)) <= MIB
    assert b"".join(store.read(bucket, "big", start=len(body))) == b""


@pytest.mark.parametrize("size", [0, 1, 17 * MIB, 33 * MIB + 5])
def test_files_of_any_size_go_up_and_come_down(store: S3Store, bucket: str, tmp_path: Path, size: int) -> None:
    path = tmp_path / "in"
    path.write_bytes(pattern(size))
    store.upload(bucket, "file", path, metadata={"sha256": "abc"})
    store.download(bucket, "file", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    info = store.head(bucket, "file")
    assert info is not None
    assert (info.size, info.metadata) == (size, {"sha256": "abc"})


def test_a_multipart_upload_is_resumed_and_not_seen_before_its_end(store: S3Store, bucket: str) -> None:
    body = pattern(12 * MIB)
    first = store.multipart(bucket, "m", metadata={"a": "b"})
    assert first.parts == ()
    first.put_part(1, body[: 5 * MIB])
    first.put_part(3, body[10 * MIB :])
    assert store.head(bucket, "m") is None
    again = store.multipart(bucket, "m")
    assert [(part.number, part.size) for part in again.parts] == [(1, 5 * MIB)], "the part after a gap does not count"
    again.put_part(2, body[5 * MIB : 10 * MIB])
    again.put_part(3, body[10 * MIB :])
    etag = again.complete()
    found, info = store.get(bucket, "m")
    assert found == body
    assert (info.etag, info.metadata) == (etag, {"a": "b"})
    with pytest.raises(ObjectAbsentError):
        first.put_part(2, body[5 * MIB : 10 * MIB])
    first.abort()
    assert store.multipart(bucket, "m").parts == ()


def test_a_gap_is_not_completed(store: S3Store, bucket: str) -> None:
    upload = store.multipart(bucket, "gap")
    upload.put_part(2, b"x")
    with pytest.raises(IntegrityError, match="gaps"):
        upload.complete()
    upload.abort()
    assert store.head(bucket, "gap") is None


def test_uploads_of_other_keys_are_not_resumed(store: S3Store, bucket: str) -> None:
    store.multipart(bucket, "key-longer").put_part(1, b"x")
    assert store.multipart(bucket, "key").parts == ()


def test_a_failed_upload_leaves_nothing(store: S3Store, bucket: str, tmp_path: Path) -> None:
    path = tmp_path / "shrinks"
    path.write_bytes(pattern(20 * MIB))
    with pytest.raises(IntegrityError, match="shrinks"):
        s3_multipart.upload_file(store.client, bucket, "shrinks", path, 40 * MIB, None)
    assert store.head(bucket, "shrinks") is None
    assert s3_multipart.newest_upload(store.client, bucket, "shrinks") is None


def test_copies_keep_bytes_and_metadata(store: S3Store, bucket: str) -> None:
    body = pattern(11 * MIB)
    store.put(bucket, "from", body, metadata={"sha256": "s"})
    by_ranges = S3Store(store.client, copy_limit=6 * MIB, copy_part=5 * MIB)
    for n, adapter in enumerate((store, by_ranges)):
        etag = adapter.copy(bucket, "from", bucket, f"to/{n}")
        found, info = store.get(bucket, f"to/{n}")
        assert found == body
        assert (info.etag, info.metadata) == (etag, {"sha256": "s"})


def test_wrong_credentials_and_buckets_are_our_configuration(s3_settings: Settings, store: S3Store) -> None:
    wrong = S3Store.from_settings(s3_settings.model_copy(update={"store_secret_key": SecretStr("wrong")}))
    with pytest.raises(ConfigurationError, match="credentials"):
        wrong.get("ready", "ready")
    with pytest.raises(ConfigurationError, match="no-such-bucket"):
        store.get("no-such-bucket", "x")
    store.ensure_bucket("ready")


def test_a_store_that_is_down_can_be_asked_again_later(s3_settings: Settings) -> None:
    down = S3Store.from_settings(s3_settings.model_copy(update={"store_endpoint": "http://127.0.0.1:9"}))
    with pytest.raises(StoreUnavailableError, match="b/k"):
        down.put_new("b", "k", b"")
    with pytest.raises(StoreUnavailableError):
        down.head("b", "k")
