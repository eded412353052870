"""From what is delivered to a catalogue that a selection can use, and to the folders of an IPF."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.memory import MemoryStore
from shared.auxiliary.catalogue import AuxiliaryEntry, Catalogue
from shared.auxiliary.intake import Delivery, Intake
from shared.auxiliary.laying import Layer
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import Limits
from shared.domain.auxiliary.names import AuxiliaryName
from shared.domain.auxiliary.policies import Window, pick
from shared.errors import BadInputError, IntegrityError, ObjectAbsentError, StoreUnavailableError
from tests.support.auxiliary import day, delivered, grib, header, named, tarred, zipped
from tests.support.house import VirtualClock

BUCKET = "s2-auxiliary"
LIMITS = Limits(files=20, size=20 << 20)
METEO, AEROSOL, BULLETIN = named("AUX_ECMWFD"), named("AUX_CAMSFO"), named("AUX_UT1UTC", site="PDMC")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(VirtualClock())


@pytest.fixture
def intake(store: MemoryStore) -> Intake:
    return Intake(store, BUCKET, VirtualClock(), load_types(), LIMITS, largest=30 << 20, largest_zip=1 << 20)


@pytest.fixture
def catalogue(store: MemoryStore) -> Catalogue:
    return Catalogue(store, BUCKET)


def take(intake: Intake, name: AuxiliaryName, body: bytes, file: str = "", **more: Any) -> AuxiliaryEntry:
    return intake.take(Delivery(file or f"{name}.TGZ", "adgs", **more), iter([body[:100], body[100:]]))


def keys(store: MemoryStore) -> list[str]:
    return [info.key for info in store.list(BUCKET)]


# taking in ----------------------------------------------------------------------------------------------------
def test_a_delivery_is_kept_and_unpacked_beside_it_and_then_usable(
    intake: Intake, store: MemoryStore, catalogue: Catalogue
) -> None:
    body = delivered(BULLETIN, b"bulletin")
    entry = take(intake, BULLETIN, body, published=day(0))
    assert catalogue.find(BULLETIN.text) == entry
    assert catalogue.has(BULLETIN)
    assert store.get(BUCKET, f"{entry.prefix}{BULLETIN}.TGZ")[0] == body
    assert store.get(BUCKET, f"{entry.prefix}unpacked/{BULLETIN}.DBL")[0] == b"bulletin"
    assert entry.original.sha256 == hashlib.sha256(body).hexdigest()
    assert (entry.start, entry.stop, entry.creation) == (BULLETIN.start, BULLETIN.stop, BULLETIN.creation)
    assert (entry.satellite, entry.band, entry.version, entry.notes) == ("S2_", None, "0001", ())


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_other_archives_are_taken_as_well(intake: Intake, kind: str) -> None:
    files = {f"{BULLETIN}.DBL": b"x", f"{BULLETIN}.HDR": header(BULLETIN)}
    body = {"zip": zipped(files), "tar": tarred(files), "tar.gz": tarred(files, "w:gz")}[kind]
    entry = take(intake, BULLETIN, body, f"{BULLETIN}.{kind}")
    assert [file.path for file in entry.files] == [f"unpacked/{BULLETIN}.DBL", f"unpacked/{BULLETIN}.HDR"]


def test_a_large_file_is_written_in_parts(intake: Intake, store: MemoryStore) -> None:
    block = bytes(range(256)) * (17 << 12)  # 17 MiB
    entry = take(intake, BULLETIN, tarred({f"{BULLETIN}.DBL": block}))
    assert store.get(BUCKET, f"{entry.prefix}unpacked/{BULLETIN}.DBL")[0] == block
    assert entry.notes == ("no header: validity and creation are those of the name",)


def test_the_same_delivery_twice_is_the_same(intake: Intake, store: MemoryStore) -> None:
    body = delivered(BULLETIN)
    take(intake, BULLETIN, body)
    before = keys(store)
    take(intake, BULLETIN, body)
    assert keys(store) == before


def test_of_two_deliveries_of_one_name_the_first_counts(intake: Intake, catalogue: Catalogue) -> None:
    first = take(intake, BULLETIN, delivered(BULLETIN, b"one"), source_id="1")
    second = take(intake, BULLETIN, delivered(BULLETIN, b"two"), source_id="2")
    assert first.prefix != second.prefix
    assert catalogue.find(BULLETIN.text) == first


def test_the_baseline_of_a_probas_stands_in_its_entry(intake: Intake) -> None:
    name = named("GIP_PROBAS", satellite="S2A", band="00")
    block = b"<GS2><Baseline_Version>04.00</Baseline_Version></GS2>"
    assert take(intake, name, delivered(name, block)).baseline == "04.00"


def test_real_files_are_taken_in(intake: Intake, catalogue: Catalogue, real_data: Path) -> None:
    folders = [path for path in (real_data / "auxiliary").iterdir() if path.is_dir()]
    for folder in folders:
        name = AuxiliaryName.parse(folder.name)
        entry = take(intake, name, tarred({file.name: file.read_bytes() for file in folder.iterdir()}, "w:gz"))
        assert entry.notes == ()
        assert len(entry.files) == 2
    assert catalogue.types() == ["AUX_UT1UTC", "GIP_ATMIMA", "GIP_ATMSAD", "GIP_DATATI"]
    assert [name.text for name in catalogue.names("GIP_DATATI")] == [
        "S2B_OPER_GIP_DATATI_MPC__20170428T123038_V20170322T000000_21000101T000000_B00"
    ]


# refusing -----------------------------------------------------------------------------------------------------
OTHER = named("AUX_UT1UTC", start=5, stop=6, site="PDMC")


@pytest.mark.parametrize(
    ("body", "more", "told"),
    [
        (b"no archive", {}, "a whole archive"),
        (delivered(BULLETIN)[:-20], {}, "a whole archive"),
        (tarred({"../x": b"1"}), {}, "plain relative path"),
        (delivered(BULLETIN), {"size": 5}, "5 bytes were promised"),
        (delivered(BULLETIN), {"md5": "0" * 32}, "its MD5 is"),
        (delivered(BULLETIN), {"sha256": "0" * 64}, "its SHA-256 is"),
        (delivered(BULLETIN), {"size": 1 << 40}, "at most"),
        (bytes(31 << 20), {}, "at most 31457280 bytes"),
        (tarred({"x.HDR": header(OTHER)}), {}, "x.HDR, File_Name"),
        (tarred({"x.HDR": header(METEO)}), {}, "x.HDR, File_Type"),
        (tarred({"x.HDR": header(BULLETIN), "y.HDR": header(BULLETIN)}), {}, "one header"),
        (tarred({"x.HDR": b"<a/>"}), {}, "Fixed_Header"),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_nothing(
    intake: Intake, store: MemoryStore, body: bytes, more: dict[str, Any], told: str
) -> None:
    with pytest.raises((BadInputError, IntegrityError), match=told):
        take(intake, BULLETIN, body, **more)
    assert keys(store) == []


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("S2__OPER_AUX_GRI020_MPC__20181212T132835_V20150623T000001_21000101T000001.TGZ", "AUX_GRI020"),
        (f"{named('GIP_VIEDIR', satellite='S2A', band='00')}.TGZ", "of one band"),
        (f"{named('GIP_DATATI', satellite='S2A', band='05')}.TGZ", "of no band"),
        ("../../etc/passwd", "PDI name"),
        (f"{BULLETIN}.exe", "PDI name"),
    ],
)
def test_a_name_that_nothing_here_takes_is_refused(intake: Intake, file: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        intake.name_of(file)


def test_a_zip_too_large_for_the_disk_is_refused(intake: Intake) -> None:
    with pytest.raises(BadInputError, match="size of a zip"):
        take(intake, BULLETIN, bytes(2 << 20), f"{BULLETIN}.zip")


def test_where_the_source_breaks_off_nothing_is_usable_and_the_next_attempt_goes_through(
    intake: Intake, catalogue: Catalogue
) -> None:
    body = delivered(BULLETIN)

    def broken() -> Iterator[bytes]:
        yield body[:50]
        raise StoreUnavailableError("cut")

    with pytest.raises(StoreUnavailableError):
        intake.take(Delivery(f"{BULLETIN}.TGZ", "adgs"), broken())
    assert not catalogue.has(BULLETIN)
    take(intake, BULLETIN, body)
    assert catalogue.has(BULLETIN)


# the catalogue ------------------------------------------------------------------------------------------------
class Counting(MemoryStore):
    gets = 0

    def get(self, bucket: str, key: str) -> Any:
        self.gets += 1
        return super().get(bucket, key)


def test_a_type_is_listed_without_reading_any_entry() -> None:
    store = Counting(VirtualClock())
    intake = Intake(store, BUCKET, VirtualClock(), load_types(), LIMITS, largest=1 << 20)
    names = [named(start=start, stop=start + 2) for start in range(5)]
    for name in names:
        take(intake, name, delivered(name))
    take(intake, BULLETIN, delivered(BULLETIN))
    store.gets = 0
    assert intake.catalogue.names("AUX_ECMWFD") == names
    assert store.gets == 0


def test_where_header_and_name_disagree_the_header_counts_and_it_is_noted(intake: Intake, catalogue: Catalogue) -> None:
    body = tarred({"x.DBL": b"x", "x.HDR": header(METEO, Validity_Stop="UTC=2022-04-20T00:00:00")}, "w:gz")
    entry = take(intake, METEO, body)
    assert entry.notes == ("validity stop: the header says 2022-04-20T00:00:00Z, the name 2022-04-15T00:00:00Z",)
    assert pick("LatestValCover", catalogue.names("AUX_ECMWFD"), Window(day(5), day(6))).chosen == (METEO.text,)


def test_the_catalogue_is_made_again_from_the_files(intake: Intake, store: MemoryStore, catalogue: Catalogue) -> None:
    first = take(intake, METEO, delivered(METEO, b"1"), source_id="1")
    intake.clock.advance(60)  # type: ignore[attr-defined]
    take(intake, METEO, delivered(METEO, b"2"), source_id="2")
    odd = take(intake, BULLETIN, tarred({"x.HDR": header(BULLETIN, Validity_Stop="UTC=2029-01-01T00:00:00")}))
    store.put(BUCKET, f"files/AUX_ECMWFD/{named(created=1)}/dead/original.TGZ", b"of an attempt that died")
    before = {key: store.get(BUCKET, key)[0] for key in keys(store) if key.startswith("catalogue/")}
    for key in before:
        store.delete(BUCKET, key)
    assert catalogue.rebuild() == 2
    assert {key: store.get(BUCKET, key)[0] for key in keys(store) if key.startswith("catalogue/")} == before
    assert (catalogue.find(METEO.text), catalogue.find(BULLETIN.text)) == (first, odd)
    assert catalogue.rebuild() == 0


def test_what_others_put_into_the_catalogue_is_passed_over(store: MemoryStore, catalogue: Catalogue) -> None:
    store.put(BUCKET, "catalogue/AUX_ECMWFD/readme.json", b"{}")
    store.put(BUCKET, f"catalogue/AUX_ECMWFD/{METEO}.json", b"{}")
    assert catalogue.names("AUX_ECMWFD") == [METEO]
    with pytest.raises(BadInputError, match=f"{METEO}.json"):
        catalogue.find(METEO.text)
    with pytest.raises(ObjectAbsentError):
        catalogue.find(BULLETIN.text)


# the folders --------------------------------------------------------------------------------------------------
def lay_out(store: MemoryStore, root: Path, *entries: AuxiliaryEntry) -> dict[str, bytes]:
    written = Layer(store, BUCKET, load_types(), LIMITS).lay_out(entries, root)
    assert written == sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in written}


def test_all_that_an_ipf_expects_is_laid_where_it_expects_it(
    intake: Intake, store: MemoryStore, tmp_path: Path
) -> None:
    gipp = named("GIP_VIEDIR", satellite="S2A", band="8A")
    quality = named("GIP_OLQCPA", satellite="S2A", band="00")
    meteo = tarred({"S2D2": grib("2"), "d/S2D1": grib("1"), "readme": b"text"})
    aerosol = tarred({"z_cams_a.grib": grib("a"), "x": b"", "z_cams_b.grib": grib("b")}, "w:gz")
    blocks = {gipp: b"<xml/>", quality: zipped({"a": b"1"}), BULLETIN: b"iers", METEO: meteo, AEROSOL: aerosol}
    entries = [take(intake, name, delivered(name, block)) for name, block in blocks.items()]
    assert lay_out(store, tmp_path, *entries) == {
        f"S2IPF-GIPP/{gipp}.xml": b"<xml/>",
        f"S2IPF-GIPP/{quality}.zip": blocks[quality],
        f"S2IPF-IERS/{BULLETIN}.txt": b"iers",
        f"S2IPF-ECMWF/{METEO}": grib("1") + grib("2"),
        f"S2IPF-CAMS/{AEROSOL}/z_cams_a.grib": grib("a"),
        f"S2IPF-CAMS/{AEROSOL}/z_cams_b.grib": grib("b"),
    }


def test_gribs_delivered_loose_are_laid_the_same(intake: Intake, store: MemoryStore, tmp_path: Path) -> None:
    meteo = take(intake, METEO, tarred({"S2D2": grib("2"), "S2D1": grib("1")}, "w:gz"))
    aerosol = take(intake, AEROSOL, tarred({"z_cams_a.grib": grib("a")}, "w:gz"))
    assert lay_out(store, tmp_path, meteo, aerosol) == {
        f"S2IPF-ECMWF/{METEO}": grib("1") + grib("2"),
        f"S2IPF-CAMS/{AEROSOL}/z_cams_a.grib": grib("a"),
    }


def test_a_data_block_that_is_one_grib_is_taken_as_it_is(intake: Intake, store: MemoryStore, tmp_path: Path) -> None:
    entry = take(intake, METEO, delivered(METEO, grib("1")))
    assert lay_out(store, tmp_path, entry) == {f"S2IPF-ECMWF/{METEO}": grib("1")}


def test_the_folders_are_there_even_without_a_file(store: MemoryStore, tmp_path: Path) -> None:
    assert lay_out(store, tmp_path) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "S2IPF-CAMS",
        "S2IPF-ECMWF",
        "S2IPF-GIPP",
        "S2IPF-IERS",
    ]


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (b"no archive", "a whole archive"),
        (tarred({"../S2D1": grib("1")}), "plain relative path"),
        (tarred({"readme": b""}), "starts with S2D"),
        (tarred({"S2D1": b"<html>not found</html>"}), "S2D1: expected a GRIB"),
        (tarred({"a/S2D1": grib("1"), "b/S2D1": grib("2")}), "each name once"),
    ],
)
def test_a_forecast_that_is_none_is_refused(
    intake: Intake, store: MemoryStore, tmp_path: Path, block: bytes, told: str
) -> None:
    entry = take(intake, METEO, delivered(METEO, block))
    with pytest.raises(BadInputError, match=told):
        lay_out(store, tmp_path, entry)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_bytes_that_changed_in_the_store_are_not_laid(intake: Intake, store: MemoryStore, tmp_path: Path) -> None:
    entry = take(intake, BULLETIN, delivered(BULLETIN, b"iers"))
    store.put(BUCKET, f"{entry.prefix}unpacked/{BULLETIN}.DBL", b"iert")
    with pytest.raises(IntegrityError, match=BULLETIN.text):
        lay_out(store, tmp_path, entry)


def test_a_real_gipp_and_bulletin_are_laid_unchanged(
    intake: Intake, store: MemoryStore, tmp_path: Path, real_data: Path
) -> None:
    folders = sorted(path for path in (real_data / "auxiliary").iterdir() if path.is_dir())
    entries = []
    for folder in folders:
        files = {file.name: file.read_bytes() for file in folder.iterdir()}
        entries.append(take(intake, AuxiliaryName.parse(folder.name), tarred(files, "w:gz")))
    laid = lay_out(store, tmp_path, *entries)
    assert sorted(laid.values()) == sorted((folder / f"{folder.name}.DBL").read_bytes() for folder in folders)
    assert sum(path.startswith("S2IPF-GIPP/S2B_") and path.endswith(".xml") for path in laid) == 3
