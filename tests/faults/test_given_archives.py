"""Products as archives: what data hubs give is taken, what is hostile is refused before anything is written."""

from __future__ import annotations

import errno
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Complete
from shared.steering import packed
from tests.faults.test_given import FILES, GIVEN, NAME, run, submit
from tests.support.house import House


def archive(folder: Path, spoil: Callable[[zipfile.ZipFile], None] = lambda _: None) -> Path:
    """As the hubs make them: entries for folders, the product's folder at the top, a name with or without .SAFE."""
    path = folder / f"{NAME}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of two entries of one name
        file.mkdir(NAME)
        file.writestr("__MACOSX/._x", b"x")
        for name, content in FILES.items():
            file.writestr(f"{NAME}/{name}", content)
        spoil(file)
    return path


@pytest.fixture
def made() -> House:
    return House()


def test_an_archive_becomes_a_level_2a_product(made: House, tmp_path: Path) -> None:
    (done,) = submit(made.operator()[0], str(archive(tmp_path)))
    assert f"{len(FILES)} files" in done.note
    assert run(made).produced == 1


def test_an_archive_in_the_store_is_the_same_product_as_its_folder(made: House, tmp_path: Path) -> None:
    services, _ = made.operator()
    made.memory.put(made.settings.bucket_sessions, "dropped/any.zip", archive(tmp_path).read_bytes())
    submit(services, f"s3://{made.settings.bucket_sessions}/dropped/any.zip")
    assert services.ledger.read(keys.complete(GIVEN), Complete).given is not None
    (again,) = submit(services, str(archive(tmp_path)))
    assert "submitted before" in again.note


def _entry(name: str, mode: int = 0, **more: int) -> Callable[[zipfile.ZipFile], None]:
    def spoil(file: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        for key, value in more.items():
            setattr(info, key, value)
        file.writestr(info, b"/etc/passwd")

    return spoil


def _far(offset: int) -> Callable[[zipfile.ZipFile], None]:
    """The list says that an entry stands farther on than any file, or than the system can look."""

    def spoil(file: zipfile.ZipFile) -> None:
        file.filelist[-1].header_offset = offset

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_entry("../evil"), "steps of letters"),
        (_entry(f"{NAME}/../../evil"), "steps of letters"),
        (_entry("/etc/evil"), "steps of letters"),
        (_entry(f"{NAME}\\..\\evil"), "steps of letters"),
        (_entry(f"{NAME}/link", stat.S_IFLNK | 0o777), "a file, not a link"),
        (_entry(f"{NAME}/pipe", stat.S_IFIFO), "a file, not a link"),
        (_entry(f"{NAME}/MTD_MSIL1C.xml"), "one entry of this name"),
        (_entry(f"{NAME}/x", compress_type=zipfile.ZIP_BZIP2), "stored or deflated"),
        (_entry("other/x"), "one folder, whose name ends in"),
        (_far(1 << 40), "leads out of it"),
        (_far(1 << 62), "leads out of it"),
    ],
)
def test_a_hostile_archive_is_refused(
    made: House, tmp_path: Path, spoil: Callable[[zipfile.ZipFile], None], said: str
) -> None:
    path = archive(tmp_path, spoil)
    with pytest.raises(BadInputError, match=said):
        submit(made.operator()[0], str(path))
    assert made.story() == ""
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_what_unpacks_to_more_than_any_product_is_refused_before_it_is(
    made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_MOST_OCTETS", 10_000)
    path = archive(tmp_path, lambda file: file.writestr(f"{NAME}/zeros", bytes(100_000)))
    with pytest.raises(BadInputError, match="at most 10000 octets when unpacked"):
        submit(made.operator()[0], str(path))


def test_an_archive_larger_than_any_product_is_refused_before_it_is_fetched(
    made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_MOST_OCTETS", 100)
    path, bucket = archive(tmp_path), made.settings.bucket_sessions
    made.memory.put(bucket, "dropped/any.zip", path.read_bytes())
    services, _ = made.operator()
    monkeypatch.setattr(services.store, "download", lambda *_: pytest.fail("fetched"))
    for target in (str(path), f"s3://{bucket}/dropped/any.zip"):
        with pytest.raises(BadInputError, match=r"archive .*\.zip: expected at most 100 octets, found"):
            submit(services, target)


def test_no_room_for_an_archive_is_a_refusal(made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bucket = made.settings.bucket_sessions
    made.memory.put(bucket, "dropped/any.zip", archive(tmp_path).read_bytes())
    services, _ = made.operator()
    monkeypatch.setattr(services.store, "download", full)
    with pytest.raises(RefusedError, match=r"archive any\.zip: it cannot be fetched: No space left on device; TMPDIR"):
        submit(services, f"s3://{bucket}/dropped/any.zip")


def test_an_archive_of_too_many_entries_is_refused_before_they_are_in_memory(
    made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_MOST_AT_ONCE", 1 << 17)

    def many(file: zipfile.ZipFile) -> None:
        for number in range(3000):
            file.writestr(f"__MACOSX/._{number}", b"")

    path = archive(tmp_path, many)
    with pytest.raises(BadInputError, match="its list of entries is longer than 131072 octets"):
        submit(made.operator()[0], str(path))


def test_an_archive_that_is_cut_or_damaged_is_named(made: House, tmp_path: Path) -> None:
    path = archive(tmp_path)
    whole = path.read_bytes()
    for octets in (whole[: len(whole) // 2], b"", whole.replace(b"<a/>", b"<b/>") if b"<a/>" in whole else whole[:-30]):
        path.write_bytes(octets)
        with pytest.raises(BadInputError, match=rf"archive {NAME}\.zip: expected a \.zip that can be read"):
            submit(made.operator()[0], str(path))


def _unpacked(path: Path) -> dict[str, bytes]:
    with packed.unpacked(path) as folder:
        files = [each for each in folder.rglob("*") if each.is_file()]
        return {each.relative_to(folder).as_posix(): each.read_bytes() for each in files}


@pytest.mark.parametrize(
    ("mask", "instead"),
    [(0xFF, 0), (1, 0), (0, ord("/")), (0, ord("."))],  # the last two: what the list calls a folder, or hidden
)
def test_wherever_one_octet_of_its_list_is_wrong_it_is_whole_or_named(tmp_path: Path, mask: int, instead: int) -> None:
    """The last 200 octets: the end of a file, the list of entries, and where that begins."""
    path = tmp_path / "small.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{NAME}/manifest.safe", b"<x/>" * 20)
        file.writestr(f"{NAME}/a.bin", b"y" * 300)
    whole, product = path.read_bytes(), _unpacked(path)
    named: list[str] = []
    for at in range(len(whole) - 200, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ mask if mask else instead]) + whole[at + 1 :])
        try:
            assert _unpacked(path) == product, at
        except BadInputError as error:
            named += [str(error)]
    assert len(named) > 100
    assert all(each.startswith("archive small.zip") for each in named)


@pytest.mark.parametrize(("name", "flag"), [(b"\xff", 0x800), (b"\0", 0)], ids=["no-utf8", "empty"])
def test_an_archive_with_a_name_that_is_none_is_refused(made: House, tmp_path: Path, name: bytes, flag: int) -> None:
    path = archive(tmp_path)
    octets = bytearray(path.read_bytes())
    entry = octets.index(b"PK\x01\x02")
    octets[entry + 8 : entry + 10] = flag.to_bytes(2, "little")
    octets[entry + 46 : entry + 47] = name
    path.write_bytes(octets)
    with pytest.raises(BadInputError, match=r"expected a \.zip that can be read"):
        submit(made.operator()[0], str(path))


def test_an_archive_that_is_not_there_is_told(made: House) -> None:
    with pytest.raises(ObjectAbsentError, match="there is no such file"):
        submit(made.operator()[0], f"/nowhere/{NAME}.zip")
