"""Archives of every kind, good and hostile. A hostile one is refused by name, in bounded memory."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auxiliary.unpacking import Limits, members
from shared.errors import BadInputError
from tests.support.auxiliary import tarred, zipped

FILES = {"a.DBL": b"data" * 1000, "a.HDR": b"<x/>"}
LIMITS = Limits(files=5, size=100_000)


def unpacked(archive: bytes, limits: Limits = LIMITS) -> dict[str, bytes]:
    return {member.path: b"".join(member.chunks) for member in members(io.BytesIO(archive), "x.TGZ", limits)}


def tar_of(*infos: tuple[tarfile.TarInfo, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for info, body in infos:
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return held.getvalue()


def entry(name: str = "x", body: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, body


@pytest.mark.parametrize("archive", [tarred(FILES), tarred(FILES, "w:gz"), zipped(FILES)], ids=["tar", "tgz", "zip"])
def test_each_kind_is_known_by_its_bytes(archive: bytes) -> None:
    assert unpacked(archive) == FILES


def test_folders_are_passed_over_and_files_below_them_taken() -> None:
    archive = tar_of(entry("./", type=tarfile.DIRTYPE), entry("./d", type=tarfile.DIRTYPE), entry("./d/a", b"1"))
    assert unpacked(archive) == {"d/a": b"1"}


def test_a_tar_from_a_source_that_cannot_seek_is_read() -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.held = io.BytesIO(tarred(FILES, "w:gz"))

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return self.held.read(min(size, 7) if size > 0 else size)

    found = members(Stream(), "x", LIMITS)  # type: ignore[arg-type]
    assert {member.path: b"".join(member.chunks) for member in found} == FILES


HOSTILE_NAMES = [
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a//b",
    "a\\..\\b",
    "C:x",
    "a\nb",
    "ä",
    "a/./b",
    "x" * 250,
    "a/" * 9 + "b",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_path_that_is_not_plain_refuses_the_archive(name: str) -> None:
    for archive in (tar_of(entry(name, b"1")), zipped({name: b"1"})):
        with pytest.raises(BadInputError, match=r"x\.TGZ, (its )?member"):
            unpacked(archive)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"Z"],
)
def test_what_is_no_regular_file_refuses_the_archive(kind: bytes) -> None:
    with pytest.raises(BadInputError, match="a regular file"):
        unpacked(tar_of(entry("ok", b"1"), entry("evil", type=kind, linkname="/etc/passwd")))


def test_a_link_in_a_zip_refuses_the_archive() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        link = zipfile.ZipInfo("evil")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadInputError, match="a regular file"):
        unpacked(held.getvalue())


def test_the_same_name_twice_refuses_the_archive() -> None:
    with pytest.raises(BadInputError, match="each name once"):
        unpacked(tar_of(entry("a", b"1"), entry("A", b"2")))


def test_too_many_files_refuse_the_archive() -> None:
    with pytest.raises(BadInputError, match="at most 5"):
        unpacked(tarred({str(n): b"" for n in range(6)}))


def test_too_many_folders_refuse_the_archive() -> None:
    with pytest.raises(BadInputError, match="folders: expected at most 5"):
        unpacked(tar_of(*(entry(str(n), type=tarfile.DIRTYPE) for n in range(6))))


@pytest.mark.parametrize("make", [lambda f: tarred(f, "w:gz"), zipped], ids=["tgz", "zip"])
def test_a_bomb_is_refused_before_it_goes_off(make: Any) -> None:
    bomb = make({"a": bytes(40_000_000)})
    assert len(bomb) < 50_000
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match="at most 100000"):
            unpacked(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_header_is_refused_before_it_goes_off() -> None:
    long_name, _ = entry("././@LongLink", type=tarfile.GNUTYPE_LONGNAME)
    long_name.size = 1 << 30
    bomb = gzip.compress(long_name.tobuf(tarfile.GNU_FORMAT) + bytes(30_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match="a header in it"):
            unpacked(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_zeros_without_end_are_refused() -> None:
    with pytest.raises(BadInputError, match="at most"):
        unpacked(gzip.compress(tarred(FILES) + bytes(5_000_000)))


def test_a_member_size_below_zero_is_refused() -> None:
    info, _ = entry("a")
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = b"\xff" * 12  # base-256: -1
    raw[148:156] = b"%06o\0 " % (256 + sum(raw[:148]) + sum(raw[156:512]))
    with pytest.raises(BadInputError):
        unpacked(bytes(raw) + bytes(1024))


def test_a_member_that_holds_less_than_a_zip_promises_is_refused() -> None:
    archive = bytearray(zipped({"a": b"1234567890"}))
    at = archive.rfind(b"PK\x01\x02")
    archive[at + 24 : at + 28] = struct.pack("<I", 99)
    with pytest.raises(BadInputError):
        unpacked(bytes(archive))


def test_a_large_directory_of_a_zip_is_refused_unread() -> None:
    archive = bytearray(zipped(FILES))
    at = archive.rfind(b"PK\x05\x06")
    archive[at + 12 : at + 16] = struct.pack("<I", 1 << 30)
    with pytest.raises(BadInputError, match="central directory"):
        unpacked(bytes(archive))


def test_an_encrypted_member_is_refused() -> None:
    archive = bytearray(zipped({"a": b"1"}))
    archive[archive.rfind(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(BadInputError, match="encrypted"):
        unpacked(bytes(archive))


def test_a_zip_within_a_zip_is_a_file_as_any_other() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("inner.zip", zipped({"a": b"1"}))
    assert unpacked(held.getvalue()) == {"inner.zip": zipped({"a": b"1"})}


@pytest.mark.parametrize("archive", [tarred(FILES), tarred(FILES, "w:gz"), zipped(FILES)], ids=["tar", "tgz", "zip"])
@given(data=st.data())
@settings(max_examples=40)
def test_an_archive_that_is_cut_short_is_refused_or_whole(archive: bytes, data: st.DataObject) -> None:
    cut = archive[: data.draw(st.integers(0, len(archive) - 1))]
    with suppress(BadInputError):
        assert unpacked(cut) == FILES  # of a tar only zeros were cut off


@pytest.mark.parametrize("archive", [tarred(FILES), tarred(FILES, "w:gz"), zipped(FILES)], ids=["tar", "tgz", "zip"])
@given(data=st.data())
@settings(max_examples=60)
def test_no_damage_does_worse_than_refusing(archive: bytes, data: st.DataObject) -> None:
    damaged = bytearray(archive)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadInputError):
        unpacked(bytes(damaged))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(junk: bytes) -> None:
    with pytest.raises(BadInputError):
        unpacked(junk)
