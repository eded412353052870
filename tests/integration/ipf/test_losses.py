"""What the processors make of a datastrip that lacks packets, of one at night, and of orders that cannot be met."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import rasterio
from lxml import etree

from functions.ipf.common.annotated import read_annotated
from functions.ipf.common.processor import run_processor
from functions.ipf.l1b.process import process as l1b
from functions.ipf.l1c.process import process as l1c
from functions.ipf.l2a.process import process as l2a
from functions.ipf.safe.jp2 import read_window
from functions.ipf.safe.working import MODEL_FILE
from shared.rehearsal.landscape import ProceduralLandscape

from .conftest import DATATAKE, TILE, make_level0, write_order

Run = Callable[..., tuple[int, dict[str, list[str]]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a processor; its exit code and its log lines by kind."""

    def called(process: Any, order: Path) -> tuple[int, dict[str, list[str]]]:
        capsys.readouterr()
        code = run_processor("IPF", "test", process, [str(order)])
        lines = capsys.readouterr().out.splitlines()
        return code, {kind: [at for line in lines if (at := line.partition(f"[{kind}] ")[2])] for kind in "WE"}

    return called


def level1b(root: Path, threads: int = 2) -> Path:
    inputs = {"PDI_DS": [root / "ds"], "PDI_DS_GR_LIST": [root / "gr"]}
    outputs = {"L1B_WORKING": root / "working", "TILE_LIST_FILE": root / "tile_list_file.xml"}
    return write_order(root / "l1b.xml", inputs, outputs, threads)


def level1c(root: Path) -> Path:
    inputs, outputs = {"L1B_WORKING": [root / "working"]}, {"MSI_L1C_TL": root / "l1c"}
    return write_order(root / "l1c.xml", inputs, outputs, TILE=TILE)


@pytest.fixture
def level0(chain: Any, tmp_path: Path) -> Path:
    """A copy of the chain's L0 products, of which files may be deleted."""
    for name in ("ds", "gr"):
        shutil.copytree(chain.root / name, tmp_path / name, copy_function=os.link)
    return tmp_path


_REFLECTANCE: Final = re.compile(r"_B(\d\d|8A)_\d0m$", re.ASCII)


def test_a_band_wholly_lost_leaves_the_others_as_they_are(chain: Any, level0: Path, run: Run) -> None:
    for path in level0.rglob("*_B01.bin"):
        path.unlink()
    assert run(l1b, level1b(level0))[0] == 1
    code, said = run(l1c, level1c(level0))
    assert (code, said["W"][-1]) == (1, "2.222 % of the datastrip's image packets are missing")
    failed = [text.partition(":")[0] for text in said["W"][:-1]]
    assert failed == [f"GENERAL_QUALITY, {check}" for check in ("Data_Loss", "No_Data", "Lost_Packets")]
    assert "GENERAL_QUALITY, No_Data: No pixel in B01." in said["W"]
    order = write_order(
        level0 / "l2a.xml", {"MSI_L1C_TL": sorted((level0 / "l1c").iterdir())}, {"MSI_L2A_TL": level0 / "l2a"}
    )
    assert run(l2a, order)[0] == 1

    for level, lost in (("L1C", ("_B01",)), ("L2A", ("B01_20m", "B01_60m"))):
        (safe,) = (level0 / level.lower()).iterdir()
        for image in sorted(chain.safe(level).glob("GRANULE/*/*_DATA/**/*.jp2")):
            again = safe / image.relative_to(chain.safe(level))
            if image.stem.endswith(lost) and not image.stem.startswith("MSK"):
                assert not read_window(again).any()
            elif image.stem == "MSK_QUALIT_B01":
                with rasterio.open(again) as flags, rasterio.open(image.with_stem("MSK_DETFOO_B01")) as footprint:
                    layers, seen = flags.read(), footprint.read(1) > 0
                assert [bool(layer.any()) for layer in layers] == [False, False, True, False, False, True, False, False]
                assert np.array_equal(layers[2] > 0, seen)
                assert np.array_equal(layers[5] > 0, seen)
            elif image.stem.endswith(("SCL_20m", "SCL_60m")):  # another band stands in for it where clouds are told
                assert np.mean(read_window(again) == read_window(image)) > 0.99, image.name
            elif image.stem == "MSK_CLASSI_B00":  # pixels without B01 have no class
                assert not read_window(again).any()
            elif level == "L1C" or image.stem.startswith(("MSK_DETFOO", "MSK_QUALIT")):
                assert np.array_equal(read_window(again), read_window(image)), image.name
            elif _REFLECTANCE.search(image.stem):
                # Clouds are told by B01 as well: what surrounds a pixel, and so its light, is not known as before.
                whole, without = read_window(image), read_window(again)
                assert np.mean((whole > 0) == (without > 0)) > 0.999, image.name
                both = (whole > 0) & (without > 0)
                assert np.median(np.abs(whole[both].astype(np.int32) - without[both])) < 100, image.name
        degraded = etree.parse(safe / f"MTD_MSI{level}.xml").findtext(".//DEGRADED_MSI_DATA_PERCENTAGE")
        assert float(degraded or 0) == pytest.approx(24 / 1080 * 100, abs=1e-3)


def test_a_tile_of_which_nothing_came_is_no_product(level0: Path, run: Run) -> None:
    for path in (level0 / "gr").iterdir():
        shutil.rmtree(path)
    assert run(l1b, level1b(level0)) == (1, {"W": ["100.000 % of the datastrip's image packets are missing"], "E": []})
    code, said = run(l1c, level1c(level0))
    assert (code, said["W"]) == (1, [f"tile {TILE}: no image packet of its ground came"])
    assert not any((level0 / "l1c").iterdir())


def test_lost_orbit_and_attitude_are_told_in_every_product(chain: Any, level0: Path, run: Run) -> None:
    """The second half of the ancillary packets is cut off, at the end of one."""
    (path,) = level0.rglob("ancillary.bin")
    packets = [annotation.encode() + octets for annotation, octets in read_annotated(path)]
    path.unlink()
    path.write_bytes(b"".join(packets[: len(packets) // 2]))
    code, said = run(l1b, level1b(level0))
    assert code == 1
    share, beyond = said["W"]
    assert re.fullmatch(r"(49|50)\.\d{3} % of the datastrip's orbit and attitude packets are missing", share)
    assert re.fullmatch(r"lines up to [12]\.\d s beyond the orbit and attitude data are located by .*", beyond)
    code, said = run(l1c, level1c(level0))
    assert (code, said["W"][-1]) == (1, share)
    failed = [text.partition(":")[0] for text in said["W"][:-1]]
    assert failed == ["SENSOR_QUALITY, Ancillary_Gaps", "SENSOR_QUALITY, Degraded_SAD"]
    (product,) = (level0 / "l1c").glob("*/MTD_MSIL1C.xml")
    stated = etree.parse(product).findtext(".//DEGRADED_ANC_DATA_PERCENTAGE") or "nan"
    assert float(stated) == pytest.approx(float(share.partition(" ")[0]), abs=1e-3)
    whole = etree.parse(chain.safe("L1C") / "MTD_MSIL1C.xml")
    assert float(whole.findtext(".//DEGRADED_ANC_DATA_PERCENTAGE") or "nan") == 0


def test_a_datastrip_at_night_is_no_product(tmp_path: Path, run: Run) -> None:
    night = replace(DATATAKE, start=datetime(2026, 6, 21, 22, 20, tzinfo=UTC))
    make_level0(tmp_path, night, ProceduralLandscape())
    code, said = run(l1b, level1b(tmp_path))
    assert code == 1
    assert len(said["W"]) == 1
    assert re.fullmatch(r"night: the Sun stands 1\d\d degrees from the zenith, there is no reflectance", said["W"][0])
    assert not (tmp_path / "working").exists()


@pytest.mark.parametrize("absent", ["ds", "gr"])
def test_inputs_that_are_not_there_are_named(level0: Path, run: Run, absent: str) -> None:
    shutil.rmtree(level0 / absent)
    code, said = run(l1b, level1b(level0))
    assert code == 128
    assert len(said["E"]) == 1
    assert "PDI_DS" in said["E"][0]


def test_a_false_number_of_threads_is_named(level0: Path, run: Run) -> None:
    code, said = run(l1b, level1b(level0, 0))
    assert (code, said["E"]) == (128, ["job order, NUMBER_OF_THREADS: expected a number of 1 to 256, found '0'"])


def test_a_sensor_model_that_is_no_archive_is_named(chain: Any, tmp_path: Path, run: Run) -> None:
    shutil.copytree(chain.root / "working", tmp_path / "working", copy_function=os.link)
    path = tmp_path / "working" / MODEL_FILE
    path.unlink()
    path.write_bytes(b"PK\3\4 and then nothing")
    code, said = run(l1c, level1c(tmp_path))
    assert code == 128
    assert [text.partition(":")[0] for text in said["E"]] == [path.name]
