"""What the licensed chain finds around it, made up: a session's files, auxiliary files of every type, job orders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from functions.ipf.standin.install import install
from shared.auxiliary.table import load_types
from shared.domain.auxiliary.names import BANDS, AuxiliaryName
from shared.domain.auxiliary.types import AuxiliaryType
from shared.dsib import Dsib, make_dsib
from shared.joborder import format_job_order
from shared.tasktable import Run, call_order, load_scheme
from shared.tasktable.status import Row, parse_result
from tests.support.auxiliary import delivered, grib, named, tarred, zipped

SESSION = "S2B_20220413132241026648"
"""The session of the reference's sample: 2 x 83 files and two DSIBs."""
CHUNKS = 83
PASS = (datetime(2022, 4, 13, 13, 22, 41, tzinfo=UTC), datetime(2022, 4, 13, 13, 31, tzinfo=UTC))
START = datetime(2022, 4, 13, 11, 47, 41, tzinfo=UTC)
# What ingestion takes out of its four files.
_BLOCKS = {
    "GIP_DATATI": b"<G><THEORETICAL_LINE_PERIOD>1.565873622</THEORETICAL_LINE_PERIOD>"
    b"<GPS_TIME_TAI>-19</GPS_TIME_TAI></G>",
    "GIP_ATMIMA": b"<G><SP_MIN_SIZE>20</SP_MIN_SIZE></G>",
    "GIP_ATMSAD": b"<G><ORBIT_OFFSET>141</ORBIT_OFFSET><TOTAL_ORBITS>143</TOTAL_ORBITS></G>",
    "AUX_UT1UTC": b" TAI-UTC = 37.000 000 seconds\n",
}


def raw_files(session: str = SESSION, chunks: int = CHUNKS, size: int = 64) -> dict[str, bytes]:
    """A session by path, ``ch_1/DCS_...``: content is small, names and counts are those of a real one."""
    files: dict[str, bytes] = {}
    for channel in (1, 2):
        names = [f"DCS_05_{session}_ch{channel}_DSDB_{number:05d}.raw" for number in range(1, chunks + 1)]
        files |= {f"ch_{channel}/{name}": (name.encode() * 2)[:size].ljust(size) for name in names}
        block = make_dsib(Dsib(session, channel, *PASS, size * chunks, tuple(names)), "Made up.")
        files[f"ch_{channel}/DCS_05_{session}_ch{channel}_DSIB.xml"] = block
    return files


def auxiliary_files(satellite: str = "S2B") -> Iterator[tuple[AuxiliaryType, AuxiliaryName, bytes]]:
    """A file of every type, of each band where the type has one: (type, name, data block)."""
    for kind in load_types().types:
        unit = satellite if kind.unit_dependent else "S2_"
        bands = BANDS if kind.band_dependent else ("00",) if kind.band_named else (None,)
        for band in bands:
            name = named(kind.name, -30, 300, -20, satellite=unit, band=band, site="MPC_")
            yield kind, name, _block(kind)


def _block(kind: AuxiliaryType) -> bytes:
    if kind.name in _BLOCKS:
        return _BLOCKS[kind.name]
    if kind.layout == "concatenate":
        return tarred({"S2D_1": grib("one"), "S2D_2": grib("two")})
    if kind.layout == "unpack":
        return tarred({"z_cams_1.grib": grib("one")})
    return zipped({"rules.xml": b"<r/>"}) if kind.extension == ".zip" else b"<xml/>"


def deliveries(satellite: str = "S2B") -> Iterator[tuple[str, bytes]]:
    """Auxiliary files as they are delivered: (file, archive)."""
    for _, name, block in auxiliary_files(satellite):
        yield f"{name}.TGZ", delivered(name, block)


def lay_auxiliary(root: Path, without: Sequence[str] = ()) -> None:
    """All types in the folders that the Launcher expects; not those of ``without``."""
    for kind, name, block in auxiliary_files():
        folder = root / kind.folder
        folder.mkdir(parents=True, exist_ok=True)
        if kind.name in without:
            continue
        if kind.layout == "unpack":
            (folder / name.text).mkdir()
            (folder / name.text / "z_cams_1.grib").write_bytes(grib("one"))
        else:
            (folder / f"{name}{kind.extension}").write_bytes(block)


def ingestion_order(base: Path) -> bytes:
    """The job order of the ingestion, below ``base``."""
    start = "2022-04-13T13:22:41Z"
    run = Run("", str(base), "SGS_", "S2PS", start, version="3.0.3")
    parameters = {
        "MissionID": "S2B", "DownlinkTime": start, "AcquisitionStart": start, "Processing_Station": "S2PS",
        "Acquisition_Station": "SGS_", "theoretical_line_period": "1.565873622", "minimum_packet_length": "20",
        "gps_to_tai": "19", "tai_to_utc": "-37", "orbit_offset": "141", "cyclic_orbit_offset": "143",
    }  # fmt: skip
    dump = f"{base}/L0U_DUMP/"
    outputs = dict.fromkeys(("HKTM_FOLDER", "SAD_FOLDER", "DS_GR_FOLDER"), dump)
    inputs = {"STO_CADU_S": (f"{base}/INPUT/",), "WORKING": (dump,)}
    return format_job_order(call_order(load_scheme(), "EISP_ING_TYP", run, parameters, inputs, outputs))


@dataclass(frozen=True)
class Chain:
    """Stand-ins installed below a folder, and the folders that they work in."""

    root: Path

    @classmethod
    def make(cls, root: Path, **config: Any) -> Chain:
        """Install the stand-ins; ``config`` goes into their ``standin.json``."""
        install(root / "roots")
        chain = cls(root)
        chain.configure(**config)
        return chain

    def configure(self, **config: Any) -> None:
        """Replace what ``standin.json`` says, mounts apart."""
        file = self.root / "roots" / "standin.json"
        mounts = json.loads(file.read_text())["mounts"]
        file.write_text(json.dumps({"mounts": mounts, **config}))

    @property
    def roots(self) -> dict[str, str]:
        """As a processor set has them."""
        roots = self.root / "roots"
        folders = {name: str(roots / name) for name in ("eisp", "launcher", "l2")}
        return {**folders, "versions": str(roots / "IDPSC_EXE_export.json")}

    def lay_session(self, files: Mapping[str, bytes] | None = None) -> Path:
        """The session and the ingestion's order; returns the order's path."""
        base = self.root / "l0u"
        for path, body in (raw_files() if files is None else files).items():
            file = base / "INPUT" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        (base / "L0U_DUMP").mkdir()
        order = base / "joborder.xml"
        order.write_bytes(ingestion_order(base))
        return order

    def launcher(self, mode: str, base: Path, *more: str, parallel: int = 4) -> list[str]:
        """The command line of a mode, as the set ``esa`` has it."""
        return [
            f"{self.roots['launcher']}/scripts/LaunchIPF.sh", "-m", mode, "-a", str(base / "aux"), "-s", "/dem",
            "-g", "/grid", "-i", str(base / "input"), "-w", str(base / "working"), "-o", str(base / "output"),
            "-p", str(parallel), "--exeversionfile", self.roots["versions"], "-k", "7200", *more,
        ]  # fmt: skip

    def lay_l0c(self, auxiliary: Path, name: str = "DT1") -> Path:
        """The folder of a Level-0 job, from what ingestion made of a datatake; auxiliary files are linked."""
        base = self.root / f"l0c-{name}"
        shutil.copytree(self.root / "l0u" / "L0U_DUMP" / name, base / "input")
        (base / "aux").symlink_to(auxiliary)
        return base

    def lay_l1(self, l0c: Path, auxiliary: Path) -> Path:
        """The folder of Level-1 jobs, from the products of a Level-0 job; auxiliary files are linked."""
        base = l0c.with_name(l0c.name.replace("l0c", "l1"))
        shutil.copytree(l0c / "working" / "INV_L0C_DS", base / "input" / "DS")
        shutil.copytree(l0c / "working" / "INV_L0C_GR", base / "input" / "GR")
        (base / "aux").symlink_to(auxiliary)
        return base

    def level2(self, which: str, *products: Path, base: Path, aux: Path) -> list[str]:
        """The command line of a Level-2 script, ``DS`` or ``TL``, as the set ``esa`` has it."""
        where = aux / "S2IPF-GIPP" if which == "DS" else aux
        folders = [str(where), "/dem", str(base / "working"), str(base / "output")]
        return [f"{self.roots['l2']}/Launch_L2_{which}.sh", *map(str, products), *folders, "S2PS", "S2PS"]


def rows(base: Path, mode: str) -> tuple[Row, ...]:
    """The status table that the last run of a mode left."""
    (path, *_) = sorted((base / "working").glob(f"ipf_output_{mode}_*/result_*.txt"), reverse=True)
    return parse_result(path.read_bytes(), path.name)[-1].rows
