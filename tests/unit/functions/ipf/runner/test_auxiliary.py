"""Laying the auxiliary files of an order at stage-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.ipf.runner.auxiliary import Laid, lay
from functions.ipf.runner.job import Job, Scratch
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.errors import IntegrityError, ObjectAbsentError
from shared.ledger.provision import place_of
from shared.ledger.records import Order
from shared.settings import Settings
from tests.support.auxiliary import AWAITING, grib, named, take_in, tarred
from tests.support.house import START, VirtualClock

GIPP = named("GIP_DATATI", 0, 3650, satellite="S2A", band="00")
BULLETIN = named("AUX_UT1UTC", 0, 3650)
FORECAST = named("AUX_ECMWFD", 0, 3650)


@pytest.fixture
def services() -> Services:
    clock = VirtualClock()
    made = Services(Settings(processor_set=str(AWAITING)), clock)
    vars(made).update(store=MemoryStore(clock))
    take_in(made, GIPP, b"<G/>")
    take_in(made, BULLETIN, b"TAI-UTC = 37")
    take_in(made, FORECAST, tarred({"S2D2": grib("2"), "S2D1": grib("1"), "other": b"x"}))
    return made


def job(services: Services, folder: Path, *auxiliary: str, step: str = "l0u") -> Job:
    order = Order(
        created=START, session="S2A_20261122100000000123", step=step, unit="u", digest="0" * 64, processor="P",
        version="1", inputs=(), parameters={}, auxiliary=auxiliary, t0=START, deadline=START,
    )  # fmt: skip
    processor = services.workflow.processors[step]
    return Job(services, place_of(order), 1, order, processor, Scratch(folder))


def test_each_file_lies_where_its_ipf_looks_for_it_and_is_counted(services: Services, tmp_path: Path) -> None:
    laid = lay(job(services, tmp_path, GIPP.text, BULLETIN.text, FORECAST.text), tmp_path)
    root = tmp_path / "aux"
    assert (root / "S2IPF-GIPP" / f"{GIPP}.xml").read_bytes() == b"<G/>"
    assert (root / "S2IPF-IERS" / f"{BULLETIN}.txt").read_bytes() == b"TAI-UTC = 37"
    assert (root / "S2IPF-ECMWF" / FORECAST.text).read_bytes() == grib("1") + grib("2")
    assert (root / "S2IPF-CAMS").is_dir()
    assert laid == Laid(3, 4 + 12 + 2 * len(grib("1")))


def test_folders_are_made_where_nothing_was_chosen(services: Services, tmp_path: Path) -> None:
    assert lay(job(services, tmp_path), tmp_path) == Laid()
    assert sorted(path.name for path in (tmp_path / "aux").iterdir()) == [
        "S2IPF-CAMS",
        "S2IPF-ECMWF",
        "S2IPF-GIPP",
        "S2IPF-IERS",
    ]


def test_a_processor_that_needs_none_gets_no_folder(services: Services, tmp_path: Path) -> None:
    assert lay(job(services, tmp_path, step="l0c"), tmp_path) == Laid()
    assert not list(tmp_path.iterdir())


def test_a_file_that_has_gone_is_named_with_what_brings_it_back(services: Services, tmp_path: Path) -> None:
    services.store.delete("s2-auxiliary", f"catalogue/GIP_DATATI/{GIPP}.json")
    with pytest.raises(ObjectAbsentError, match=rf"{GIPP}: .*not in the catalogue any more.*add"):
        lay(job(services, tmp_path, GIPP.text), tmp_path)


def test_bytes_that_have_changed_are_refused(services: Services, tmp_path: Path) -> None:
    (key,) = [i.key for i in services.store.list("s2-auxiliary", f"files/GIP_DATATI/{GIPP}/") if i.key.endswith(".DBL")]
    services.store.put("s2-auxiliary", key, b"<X/>")
    with pytest.raises(IntegrityError, match=GIPP.text):
        lay(job(services, tmp_path, GIPP.text), tmp_path)
