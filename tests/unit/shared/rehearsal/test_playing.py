from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from defusedxml import EntitiesForbidden
from defusedxml.ElementTree import ParseError, fromstring

from shared.errors import BadInputError, ConfigurationError
from shared.rehearsal.faults import (
    Clutter,
    DeliveryFault,
    DsibFault,
    FaultPlan,
    LateChunk,
    RetransferChunk,
    TruncateChunk,
)
from shared.rehearsal.plan import CHANNELS, SessionPlan
from shared.rehearsal.playing import Delivery, Pass, deliveries
from shared.rehearsal.recording import ChannelRecorder

PLAN = SessionPlan(chunk_bytes=1000)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three chunks in channel 1, two in channel 2."""
    root = tmp_path / "recording"
    for channel, size in zip(CHANNELS, (2500, 1500), strict=True):
        recorder = ChannelRecorder(PLAN, channel, root, f"{PLAN.folder}/ch_{channel}")
        recorder.write(bytes(range(1, 251)) * (size // 250))
        recorder.close()
    return root


def path(channel: int, number: int | None) -> str:
    of = CHANNELS[channel - 1]
    return f"{PLAN.folder}/ch_{channel}/{PLAN.dsib(of) if number is None else PLAN.dsdb(of, number)}"


PATHS = [path(1, 1), path(1, 2), path(1, 3), path(1, None), path(2, 1), path(2, 2), path(2, None)]
USUAL = [path(1, 1), path(2, 1), path(1, 2), path(2, 2), path(1, 3), path(1, None), path(2, None)]


def order(*faults: DeliveryFault) -> list[str]:
    return [delivery.path for delivery in deliveries(PATHS, faults)]


def test_chunks_of_both_channels_come_in_turn_and_dsibs_last() -> None:
    assert order() == USUAL
    assert deliveries(PATHS) == [Delivery(name) for name in USUAL]


def test_a_dsib_may_come_first() -> None:
    assert order(DsibFault(2, "first")) == [path(2, None), *[name for name in USUAL if name != path(2, None)]]


def test_a_late_chunk_comes_after_everything_else() -> None:
    assert order(LateChunk(1, 2)) == [*[name for name in USUAL if name != path(1, 2)], path(1, 2)]


def test_an_absent_dsib_never_comes() -> None:
    assert path(1, None) not in order(DsibFault(1, "absent"))


def test_a_retransferred_chunk_comes_twice() -> None:
    found = deliveries(PATHS, [RetransferChunk(2, 1, "RETRANSFER")])
    assert found[1] == Delivery(path(2, 1), "damaged")
    assert found[-1] == Delivery(path(2, 1), "whole", "RETRANSFER")


@pytest.mark.parametrize("fault", [LateChunk(1, 9), TruncateChunk(3, 1)])
def test_faults_of_files_that_are_not_there_are_refused(fault: DeliveryFault) -> None:
    with pytest.raises(ConfigurationError, match="expected a file that the session has"):
        deliveries(PATHS, [fault])


def test_a_pass_leaves_the_recording_at_the_station(recording: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    Pass(recording, tmp_path / "served").play(lambda delivery: seen.append(delivery.path))
    assert seen == USUAL
    for name in USUAL:
        assert (tmp_path / "served" / "NOMINAL" / name).read_bytes() == (recording / name).read_bytes()
    assert (tmp_path / "served" / "RETRANSFER").is_dir()


def test_some_stations_have_a_folder_of_their_own(recording: Path, tmp_path: Path) -> None:
    Pass(recording, tmp_path / "served", station_folder="SGS_").play()
    assert (tmp_path / "served" / "NOMINAL" / "SGS_" / path(1, 1)).is_file()


def test_only_whole_files_are_ever_seen(recording: Path, tmp_path: Path) -> None:
    def look(_: Delivery) -> None:
        for name in (tmp_path / "served").rglob("*"):
            if name.is_file():
                original = recording / name.relative_to(tmp_path / "served" / "NOMINAL")
                assert name.stat().st_size == original.stat().st_size

    Pass(recording, tmp_path / "served").play(look)


def test_a_pass_can_be_stopped_between_files(recording: Path, tmp_path: Path) -> None:
    player = Pass(recording, tmp_path / "served", bytes_s=1.0)  # 1000 s for the first file
    seen: list[Delivery] = []
    first = threading.Event()

    def look(delivery: Delivery) -> None:
        seen.append(delivery)
        first.set()

    playing = threading.Thread(target=player.play, args=(look,))
    playing.start()
    assert first.wait(30)
    player.stop()
    playing.join(30)
    assert not playing.is_alive()
    assert len(seen) == 1


def play(recording: Path, tmp_path: Path, *faults: DeliveryFault) -> Path:
    Pass(recording, tmp_path / "served", FaultPlan(faults)).play()
    return tmp_path / "served" / "NOMINAL"


def test_a_truncated_chunk_is_short(recording: Path, tmp_path: Path) -> None:
    shown = play(recording, tmp_path, TruncateChunk(1, 2, 77)) / path(1, 2)
    assert shown.read_bytes() == (recording / path(1, 2)).read_bytes()[:77]


def test_a_pass_that_was_cut_short_goes_on_where_it_was(recording: Path, tmp_path: Path) -> None:
    faults = FaultPlan((RetransferChunk(1, 1), DsibFault(2, "corrected-later")))

    def player() -> Pass:
        return Pass(recording, tmp_path / "served", faults, journal=tmp_path / "delivered")

    delivered: list[Delivery] = []
    whole = player().deliveries
    while len(delivered) < len(whole):
        current = player()  # the process before was killed: only its files tell how far it came

        def look(delivery: Delivery, running: Pass = current) -> None:
            delivered.append(delivery)
            running.stop()

        current.play(look)
    assert delivered == whole
    player().play(delivered.append)
    assert delivered == whole
    assert (tmp_path / "served" / "NOMINAL" / path(1, 1)).read_bytes() == (recording / path(1, 1)).read_bytes()


def test_a_file_that_appeared_just_before_a_crash_does_not_appear_again(recording: Path, tmp_path: Path) -> None:
    first = Pass(recording, tmp_path / "served", journal=tmp_path / "delivered")
    (tmp_path / "delivered").write_text("0")
    first.deliver(first.deliveries[0])  # the journal was not written any more
    seen: list[Delivery] = []
    Pass(recording, tmp_path / "served", journal=tmp_path / "delivered").play(seen.append)
    assert seen == first.deliveries[1:]


@pytest.mark.parametrize("tree", ["NOMINAL", "RETRANSFER"])
def test_a_chunk_that_is_sent_again_is_whole_and_newer(recording: Path, tmp_path: Path, tree: str) -> None:
    player = Pass(recording, tmp_path / "served", FaultPlan((RetransferChunk(1, 2, tree),)))  # type: ignore[arg-type]
    whole = (recording / path(1, 2)).read_bytes()
    first = tmp_path / "served" / "NOMINAL" / path(1, 2)
    damaged: list[tuple[bytes, int]] = []

    def look(delivery: Delivery) -> None:
        if delivery.change == "damaged":
            damaged.append((first.read_bytes(), int(first.stat().st_mtime)))

    player.play(look)
    ((content, modified),) = damaged
    assert content != whole
    assert len(content) == len(whole)
    again = tmp_path / "served" / tree / path(1, 2)
    assert again.read_bytes() == whole
    if tree == "NOMINAL":
        assert int(again.stat().st_mtime) > modified


def test_a_dsib_may_be_no_xml_or_a_bomb(recording: Path, tmp_path: Path) -> None:
    shown = play(recording, tmp_path, DsibFault(1, "not-xml"), DsibFault(2, "entity-bomb"))
    with pytest.raises(ParseError):
        fromstring((shown / path(1, None)).read_bytes())
    with pytest.raises(EntitiesForbidden):
        fromstring((shown / path(2, None)).read_bytes())


def test_a_dsib_may_be_corrected_later(recording: Path, tmp_path: Path) -> None:
    player = Pass(recording, tmp_path / "served", FaultPlan((DsibFault(1, "corrected-later"),)))
    shown = tmp_path / "served" / "NOMINAL" / path(1, None)
    names: list[list[str]] = []

    def look(delivery: Delivery) -> None:
        if delivery.path == path(1, None):
            names.append([str(name.text) for name in fromstring(shown.read_bytes()).iter("dsdb_name")])

    player.play(look)
    assert [len(listed) for listed in names] == [2, 3]
    assert names[0] == names[1][:2]


def test_clutter_stands_among_the_files(recording: Path, tmp_path: Path) -> None:
    shown = play(recording, tmp_path, Clutter())
    folder = shown / PLAN.folder / "ch_1"
    assert (folder / f".{PLAN.dsdb(1, 1)}.part").is_file()
    assert (folder / f"{PLAN.dsdb(1, 1)}.tmp").is_file()
    assert (folder / "lost+found").is_dir()
    assert len(list(shown.rglob("DCS_*.raw"))) == 5


def test_a_folder_without_a_session_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="the files of a session"):
        Pass(tmp_path, tmp_path / "served")


def test_channel_folders_have_several_names() -> None:
    renamed = [name.replace("/ch_", "/ch0") for name in PATHS]
    found = [delivery.path for delivery in deliveries(renamed, [replace(LateChunk(1, 1), number=3)])]
    assert found[-1] == path(1, 3).replace("/ch_", "/ch0")
