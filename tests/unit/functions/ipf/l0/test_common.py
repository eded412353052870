"""How a processor is called and logs; annotations; names."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.ipf.common.annotated import Annotation, read_annotated
from functions.ipf.common.identity import Production
from functions.ipf.common.processor import Exit, IpfLog, run_processor
from shared.errors import AbsentError, BadInputError, RetryableError
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask, format_job_order

DATA = Path(os.environ.get("S2PS_TEST_DATA") or Path(__file__).parents[6] / "shared/data")
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} \S+ PROC 00\.01 \[\d{10}\]: \[[DIPWE]\] .*")

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

stored = st.builds(
    Annotation,
    received=st.integers(0, 2**52).map(lambda us: EPOCH + timedelta(microseconds=us)),
    length=st.integers(0, 65535),
    vcid=st.integers(0, 63),
    ignore=st.booleans(),
    incomplete=st.booleans(),
    invalid=st.booleans(),
)


def _order(**parameters: str) -> JobOrder:
    task = JobTask("PROC", "00.01", (JobInput("WORKING", ("/w",), "Directory"),), (JobOutput("REPORT", "/r"),))
    return JobOrder("PROC", "00.01", "SGS_", "S2PS", parameters, (task,))


def _order_file(tmp_path: Path) -> str:
    path = tmp_path / "JobOrder.xml"
    path.write_bytes(format_job_order(_order()))
    return str(path)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (0, 0),
        (3, 3),
        (BadInputError("file", "something"), Exit.BAD_INPUT),
        (RetryableError("later"), Exit.RETRY),
        (AbsentError("nothing"), Exit.FAILED),
        (OSError("disk"), Exit.FAILED),
        (MemoryError(), Exit.NO_MEMORY),
        (MemoryError("Unable to allocate 8 GiB"), Exit.NO_MEMORY),
        (ZeroDivisionError("bug"), Exit.BUG),
        (ValueError("of\nseveral\n\nlines\n"), Exit.BUG),
    ],
)
def test_exit_codes(outcome: int | Exception, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main(order: JobOrder, log: IpfLog) -> int:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert run_processor("PROC", "00.01", main, [_order_file(tmp_path)]) == code
    lines = capsys.readouterr().out.splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    said = [line.partition("[E] ")[2] for line in lines if "[E] " in line]
    assert len(said) == (code >= 128)
    assert all(said)


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["/nowhere/JobOrder.xml"]])
def test_a_wrong_call_is_bad_input(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_processor("PROC", "00.01", lambda _order, _log: 0, arguments) == Exit.BAD_INPUT
    assert "[E]" in capsys.readouterr().out


@given(stored)
def test_annotations_round_trip(annotation: Annotation) -> None:
    assert Annotation.decode(annotation.encode()) == annotation


def test_a_real_annotation_tells_the_reception() -> None:
    files = list(DATA.glob("l0_datastrip/*/ANC_DATA/*S09123*.bin"))
    if not files:
        pytest.skip("no real telemetry: set S2PS_TEST_DATA to a folder with l0_datastrip/")
    notes = [note for note, _ in read_annotated(files[0])]
    assert len(notes) == 15
    assert notes[0].received == datetime(2022, 10, 11, 7, 52, 56, 657099, tzinfo=UTC)
    assert all(not (note.ignore or note.incomplete or note.invalid) for note in notes)


@given(st.binary(max_size=200))
def test_other_octets_are_refused(tmp_path_factory: pytest.TempPathFactory, octets: bytes) -> None:
    path = tmp_path_factory.mktemp("octets") / "file.bin"
    path.write_bytes(octets)
    try:
        packets = list(read_annotated(path))
    except BadInputError:
        return
    assert sum(20 + len(packet) for _, packet in packets) == len(octets)


def test_products_are_never_taken_for_operational_ones() -> None:
    name = Production.of(_order(CREATION_DATE="20260621T110000")).pdi("S2B", "MSI_L0__DS", ("S", "20260621T102000"))
    assert name == "S2B_TEST_MSI_L0__DS_S2PS_20260621T110000_S20260621T102000_N00.01"


@pytest.mark.parametrize(
    "parameters", [{}, {"CREATION_DATE": "yesterday"}, {"CREATION_DATE": "20260621T110000", "PROCESSING_BASELINE": "5"}]
)
def test_a_wrong_parameter_is_named(parameters: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match=r"CREATION_DATE|PROCESSING_BASELINE"):
        Production.of(_order(**parameters))
