"""Stand-ins called in this process, by the command lines of the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.ipf.standin.cli import PROGRAMS, main
from tests.support.esa import START, Chain, lay_auxiliary, raw_files

TAKE = {"name": "DT1", "scenes": 4, "tiles": 2, "gri": 2, "start": START.isoformat()}


@dataclass
class Desk:
    """Runs command lines of a chain; ``said`` is what the last one wrote."""

    chain: Chain
    capture: pytest.CaptureFixture[str]
    auxiliary: Path
    said: str = ""

    def run(self, command: list[str]) -> int:
        """A command line as the set has it, its script's name telling which stand-in it calls."""
        which = next(name for name, script in PROGRAMS.items() if command[0].endswith(script))
        try:
            return main([which, *command[1:]])
        finally:
            self.said = self.capture.readouterr().out

    def mode(self, mode: str, base: Path, *more: str) -> int:
        return self.run(self.chain.launcher(mode, base, *more))

    def ingest(self) -> int:
        return self.run([f"{self.chain.roots['eisp']}/ingestion/scripts/launch_eisp_ing_typ.bash", str(self.order)])

    @property
    def order(self) -> Path:
        return self.chain.root / "l0u" / "joborder.xml"

    def lay_l0c(self) -> Path:
        """A datatake ingested, and the folder of its Level-0 job."""
        self.chain.lay_session(raw_files(chunks=3))
        assert self.ingest() == 0, self.said
        return self.chain.lay_l0c(self.auxiliary)

    def lay_l1(self) -> Path:
        """Level 0 done, and the folder of the Level-1 jobs."""
        base = self.lay_l0c()
        for mode in ("L0", "OLQC_L0DS", "OLQC_L0GR"):
            assert self.mode(mode, base) == 0, self.said
        return self.chain.lay_l1(base, self.auxiliary)


@pytest.fixture(scope="session")
def auxiliary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of all types, for every test that does not spoil them."""
    folder = tmp_path_factory.mktemp("auxiliary")
    lay_auxiliary(folder)
    return folder


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], auxiliary: Path) -> Desk:
    chain = Chain.make(tmp_path, datatakes=[TAKE], light=True, job_orders="first")
    monkeypatch.setenv("S2PS_STANDIN_HOME", str(tmp_path / "roots"))
    monkeypatch.delenv("S2PS_STANDIN", raising=False)
    return Desk(chain, capsys, auxiliary)
