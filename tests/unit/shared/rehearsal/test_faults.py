from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ccsds.link import SENTINEL2
from shared.errors import ConfigurationError
from shared.rehearsal.faults import (
    BitNoise,
    Clutter,
    CorruptFrame,
    DropFrames,
    DsibFault,
    FaultPlan,
    LateChunk,
    LinkDisturber,
    RetransferChunk,
    Traversal,
    TruncateChunk,
    describe_fault,
    parse_fault,
    restore_fault,
)

SIZE = SENTINEL2.cadu_octets


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("corrupt:channel=1,frame=120,symbols=9", CorruptFrame(1, 120, 9)),
        ("drop:channel=2,frame=40,frames=3", DropFrames(2, 40, 3)),
        ("noise:channel=1,rate=1e-6", BitNoise(1, 1e-6)),
        ("truncate:channel=1,number=2,keep=1000", TruncateChunk(1, 2, 1000)),
        ("late:channel=2,number=1", LateChunk(2, 1)),
        ("retransfer:channel=1,number=3,tree=RETRANSFER", RetransferChunk(1, 3, "RETRANSFER")),
        ("dsib:channel=1,how=entity-bomb", DsibFault(1, "entity-bomb")),
        ("clutter", Clutter()),
        ("traversal:name=../../x", Traversal("../../x")),
    ],
)
def test_faults_are_written_as_short_texts(text: str, fault: object) -> None:
    assert parse_fault(text) == fault
    assert describe_fault(parse_fault(text))["fault"] == text.partition(":")[0]
    assert restore_fault(json.loads(json.dumps(describe_fault(parse_fault(text))))) == fault


@pytest.mark.parametrize(
    "text",
    [
        "",
        "melt",
        "drop:frame=1",
        "drop:channel=x,frame=1",
        "drop:channel=3,frame=1",
        "late:channel=1,number=1,colour=red",
        "noise:channel",
        "dsib:channel=1,how=eaten",
        "retransfer:channel=1,number=1,tree=OAK",
    ],
)
def test_faults_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="fault"):
        parse_fault(text)


def disturbed(plan: FaultPlan, stream: bytes, batches: list[int]) -> bytes:
    disturber = LinkDisturber(SENTINEL2, 1, plan)
    pieces, at = [], 0
    for frames in [*batches, len(stream) // SIZE]:
        pieces.append(disturber(stream[at : at + frames * SIZE]))
        at += frames * SIZE
    return b"".join(pieces)


@given(st.integers(0, 30), st.integers(1, 12), st.lists(st.integers(0, 9), max_size=6))
def test_dropped_frames_do_not_depend_on_batches(first: int, frames: int, batches: list[int]) -> None:
    rows = [bytes([index]) * SIZE for index in range(32)]
    kept = [row for index, row in enumerate(rows) if not first <= index < first + frames]
    plan = FaultPlan((DropFrames(1, first, frames), DropFrames(2, 0, 32)))
    assert disturbed(plan, b"".join(rows), batches) == b"".join(kept)


@given(st.integers(0, 31), st.integers(1, 255), st.lists(st.integers(0, 9), max_size=6))
def test_a_corrupted_frame_has_just_so_many_other_octets_in_one_code_word(
    frame: int, symbols: int, batches: list[int]
) -> None:
    stream = bytes(32 * SIZE)
    after = np.frombuffer(disturbed(FaultPlan((CorruptFrame(1, frame, symbols),)), stream, batches), np.uint8)
    touched = np.argwhere(after.reshape(32, SIZE))
    assert set(touched[:, 0]) == {frame}
    assert len(touched) == symbols
    assert not ((touched[:, 1] - 4) % SENTINEL2.code.depth).any()
    assert touched[:, 1].min() >= 4


def test_noise_flips_as_many_bits_as_its_rate_says() -> None:
    stream = bytes(200 * SIZE)
    after = disturbed(FaultPlan((BitNoise(1, 1e-3),)), stream, [])
    flipped = int(np.unpackbits(np.frombuffer(after, np.uint8)).sum())
    assert flipped == pytest.approx(200 * SIZE * 8e-3, rel=0.1)
    assert after == disturbed(FaultPlan((BitNoise(1, 1e-3),)), stream, [])
    assert after != disturbed(FaultPlan((BitNoise(1, 1e-3),), seed=2), stream, [])
