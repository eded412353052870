from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.adapters.memory import MemoryStore
from shared.auxiliary.__main__ import main
from shared.bootstrap import Services
from shared.ledger.provision import Arrival
from shared.settings import Settings
from tests.support.auxiliary import delivered, named
from tests.support.house import VirtualClock

L0U = [named(f"GIP_{end}", satellite="S2B", band="00") for end in ("DATATI", "ATMSAD", "ATMIMA")] + [
    named("AUX_UT1UTC", site="PDMC")
]
SENSING = ["S2B", "2022-04-14T13:27:14", "2022-04-14T13:31:41Z"]


@pytest.fixture
def services() -> Services:
    made = Services(Settings(), VirtualClock())
    vars(made).update(store=MemoryStore(VirtualClock()))
    return made


def files(folder: Path) -> list[str]:
    for name in L0U:
        (folder / f"{name}.TGZ").write_bytes(delivered(name))
    return sorted(str(path) for path in folder.iterdir())


def test_files_are_added_by_hand_listed_and_chosen(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", *files(tmp_path)], services) == 0
    assert main(["add", files(tmp_path)[0]], services) == 0
    told = capsys.readouterr().out.splitlines()
    assert all(line.endswith(": usable") for line in told[:4])
    assert told[4].endswith("is in the catalogue already")
    assert main(["list"], services) == 0
    assert "GIP_DATATI       1" in capsys.readouterr().out
    assert main(["list", "GIP_DATATI"], services) == 0
    assert capsys.readouterr().out.strip() == L0U[0].text
    assert main(["choose", "l0u", *SENSING], services) == 0
    assert f"GIP_DATATI     LatestValCover: {L0U[0]}" in capsys.readouterr().out
    assert main(["choose", "l0u", *SENSING, "--json"], services) == 0
    assert len(json.loads(capsys.readouterr().out)["choices"]) == 4


def test_what_is_added_by_hand_is_told_in_the_ledger(services: Services, tmp_path: Path) -> None:
    assert main(["add", *files(tmp_path)], services) == 0
    told = [info.key for info in services.ledger.list("")]
    assert told == sorted(f"arrivals/{name.type}.json" for name in L0U)
    assert services.ledger.read("arrivals/GIP_DATATI.json", Arrival).name == L0U[0].text


def test_what_is_missing_is_told_and_is_a_failure(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choose", "l2", *SENSING], services) == 1
    told = capsys.readouterr()
    assert "GIP_PROBA2     LatestValCover: MISSING" in told.out
    assert "GIP_L2ACAC     LatestValCover: none, it is optional" in told.out
    assert told.err == "3 of 6 files are missing\n"


def test_one_wrong_file_does_not_keep_the_others_out(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "A_wrong.TGZ").write_bytes(b"x")
    (tmp_path / f"{named()}.TGZ").write_bytes(b"no archive")
    assert main(["add", *files(tmp_path), str(tmp_path / "nowhere.TGZ")], services) == 1
    told = capsys.readouterr()
    assert told.out.count("usable") == 4
    assert len(told.err.splitlines()) == 3


def test_the_catalogue_is_made_again(services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["add", *files(tmp_path)], services)
    bucket = services.settings.bucket_auxiliary
    for info in list(services.store.list(bucket, "catalogue/")):
        services.store.delete(bucket, info.key)
    capsys.readouterr()
    assert main(["rebuild"], services) == 0
    assert capsys.readouterr().out == "4 entries were not there\n"
    assert main(["choose", "l0u", *SENSING], services) == 0
