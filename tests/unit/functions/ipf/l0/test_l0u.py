"""L0U: every packet that was sent is received in its place, or lost and counted, whatever happened on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from functions.ipf.common.annotated import read_annotated
from functions.ipf.common.processor import Exit
from shared.ccsds.encoder import ChannelEncoder
from shared.ccsds.spacepackets import SpacePacket
from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.packets import image_source

CADU = 2044

Packets = Callable[[Path], Counter[bytes]]
Tree = Callable[[Path], dict[str, bytes]]


def _report(run: Any) -> Any:
    return json.loads((run.root / "REP_PASS").read_text())


def _sent(session: Any) -> Counter[bytes]:
    return Counter(packet for packets in session.packets.values() for packet in packets)


def _closes(session: Any, report: Any) -> None:
    assert set(report["packets"]) == {str(apid) for apid in session.packets}
    for apid, packets in session.packets.items():
        count = report["packets"][str(apid)]
        assert count["expected"] == len(packets), apid
        assert count["received"] + count["lost"] == len(packets), apid
        assert count["unexpected"] == 0, apid


def test_all_packets_arrive_and_the_account_closes(bench: Any, two_by_two: Any, packets_under: Packets) -> None:
    run = bench.l0u(two_by_two)
    report = _report(run)
    _closes(two_by_two, report)
    assert run.code == Exit.OK
    assert report["totals"]["lost"] == 0
    assert packets_under(run.root / "DS_GR_FOLDER") == _sent(two_by_two)
    assert not (run.root / "DS_GR_FOLDER" / ".spool").exists()


def test_each_file_holds_its_band_of_its_granule_in_order(bench: Any, two_by_two: Any) -> None:
    run = bench.l0u(two_by_two)
    files = sorted((run.root / "DS_GR_FOLDER").glob("DT01/GR/DB1/*/IMG_DATA/*.bin"))
    assert len(files) == 2 * 2 * 13
    by_apid = {apid: iter(packets) for apid, packets in two_by_two.packets.items()}
    for path in files:
        band = next(band for band in BANDS if path.stem.endswith(f"_{band.name}"))
        detector = int(path.stem.split("_D")[1][:2])
        for _, octets in read_annotated(path):
            apid = int.from_bytes(octets[:2], "big") & 0x7FF
            assert image_source(apid) == (detector, band.index)
            assert octets == next(by_apid[apid])


def test_names_follow_the_grammar(bench: Any, one_granule: Any, tree: Tree) -> None:
    names = tree(bench.l0u(one_granule).root)
    stamp = "S2PS_20260621T110000_S20260621T102000"
    assert f"DS_GR_FOLDER/DT01/DS/S2A_TEST_MSI_L0U_DS_{stamp}_N00.01/S2A_TEST_MTD_L0U_DS_{stamp}.xml" in names
    granule = f"DS_GR_FOLDER/DT01/GR/DB1/S2A_TEST_MSI_L0U_GR_{stamp}_D06_N00.01"
    assert f"{granule}/S2A_TEST_MTD_L0U_GR_{stamp}_D06.xml" in names
    assert f"{granule}/IMG_DATA/S2A_TEST_MSI_L0U_GR_{stamp}_D06_B8A.bin" in names
    assert any(name.startswith("SAD_FOLDER/S2A_TEST_AUX_SADATA_S2PS_") for name in names)


def test_the_same_order_gives_the_same_bytes(bench: Any, one_granule: Any, tree: Tree) -> None:
    assert tree(bench.l0u(one_granule).root) == tree(bench.l0u(one_granule).root)


def test_reception_lies_within_the_pass(bench: Any, one_granule: Any) -> None:
    run = bench.l0u(one_granule)
    times = [note.received for path in run.root.rglob("*.bin") for note, _ in read_annotated(path)]
    assert min(times).isoformat() >= "2026-06-21T10:45:00"
    assert max(times).isoformat() <= "2026-06-21T10:50:00+00:00"


def _cut(begin: int, end: int) -> Callable[[bytes], bytes]:
    return lambda stream: stream[: begin * CADU] + stream[end * CADU :]


def _slip(at: int, octets: int) -> Callable[[bytes], bytes]:
    return lambda stream: stream[:at] + stream[at + octets :]


def _burst(frame: int) -> Callable[[bytes], bytes]:
    def damage(stream: bytes) -> bytes:
        at = frame * CADU + 4
        return stream[:at] + bytes(octet ^ 0x5A for octet in stream[at : at + 300]) + stream[at + 300 :]

    return damage


@pytest.mark.parametrize("channel", [1, 2])
@pytest.mark.parametrize(
    "damage",
    [_cut(5, 8), _cut(0, 20), _cut(20, 10_000), _slip(30_000, 1), _slip(31_234, 4321), _burst(9), _burst(0)],
    ids=["frames lost", "head lost", "tail lost", "octet lost", "part lost", "burst", "burst in idle frame"],
)
def test_damage_is_accounted_packet_by_packet(
    bench: Any, two_by_two: Any, channel: int, damage: Callable[[bytes], bytes], packets_under: Packets
) -> None:
    streams = {**two_by_two.streams, channel: damage(two_by_two.streams[channel])}
    run = bench.l0u(replace(two_by_two, streams=streams))
    report = _report(run)
    _closes(two_by_two, report)
    stored = packets_under(run.root / "DS_GR_FOLDER")
    assert not stored - _sent(two_by_two)
    assert stored.total() == report["totals"]["received"]
    assert (run.code == Exit.OK) == (report["totals"]["lost"] == 0)


def test_the_granule_s_metadata_names_what_it_lost(bench: Any, two_by_two: Any) -> None:
    streams = {**two_by_two.streams, 2: _cut(20, 26)(two_by_two.streams[2])}
    run = bench.l0u(replace(two_by_two, streams=streams))
    documents = [path.read_text() for path in run.root.rglob("*MTD_L0U_GR*.xml")]
    named = sum(int(part.split("<")[0]) for text in documents for part in text.split("<NUMBER_OF_SP_ERROR>")[1:])
    assert named == _report(run)["totals"]["lost"] > 0
    assert "W] APID" in run.log


def test_a_missing_channel_is_degraded_and_named(bench: Any, two_by_two: Any) -> None:
    run = bench.l0u(replace(two_by_two, streams={1: two_by_two.streams[1]}))
    assert run.code == Exit.DEGRADED
    assert "channel 2: absent" in run.log
    _closes(two_by_two, _report(run))


def test_granules_of_which_nothing_came_are_named(bench: Any, two_by_two: Any) -> None:
    stream = two_by_two.streams[1]
    ancillary_only = replace(two_by_two, streams={1: stream[: 40 * CADU]})
    report = _report(bench.l0u(ancillary_only))
    _closes(two_by_two, report)
    assert report["datastrips"]["DT01"]["granules_missing"] == ["D06 scene 2", "D07 scene 2"]


def test_a_missing_and_a_foreign_chunk_are_named(bench: Any, two_by_two: Any, tmp_path: Path) -> None:
    folder = replace(two_by_two, chunk=20 * CADU).store(tmp_path / "session")
    first, second, third = (two_by_two.name(2, number) for number in (1, 2, 3))
    (folder / "ch_2" / second).unlink()
    (folder / "ch_2" / third).write_bytes(b"no frames in here" * 3000)
    (folder / "ch_2" / ".hidden.tmp").write_bytes(b"")
    run = bench.l0u(folder)
    assert run.code == Exit.DEGRADED
    assert f"{second}: named in the DSIB, absent" in run.log
    assert f"{third}: no frame that decodes" in run.log
    assert first not in run.log
    _closes(two_by_two, _report(run))


def test_chunks_of_any_length_make_the_same_products(bench: Any, one_granule: Any, packets_under: Packets) -> None:
    run = bench.l0u(replace(one_granule, chunk=12_345))
    assert run.code == Exit.OK
    assert packets_under(run.root / "DS_GR_FOLDER") == _sent(one_granule)


def test_a_stretch_sent_twice_is_taken_once(bench: Any, one_granule: Any, packets_under: Packets) -> None:
    stream = one_granule.streams[1]
    twice = stream[: 25 * CADU] + stream[10 * CADU :]
    run = bench.l0u(replace(one_granule, streams={**one_granule.streams, 1: twice}))
    report = _report(run)
    _closes(one_granule, report)
    assert report["totals"]["duplicates"] > 0
    assert packets_under(run.root / "DS_GR_FOLDER") == _sent(one_granule)


def test_two_datatakes_are_two_folders(bench: Any, two_datatakes: Any, packets_under: Packets) -> None:
    run = bench.l0u(two_datatakes)
    assert run.code == Exit.OK
    _closes(two_datatakes, _report(run))
    root = run.root / "DS_GR_FOLDER"
    assert sorted(path.name for path in root.iterdir()) == ["DT01", "DT02"]
    assert len(list(root.glob("DT01/GR/DB1/*"))) == 1
    assert len(list(root.glob("DT02/GR/DB1/*_D05_*"))) == 2
    assert packets_under(root) == _sent(two_datatakes)


def test_what_is_no_downlink_is_refused_by_its_name(bench: Any, one_granule: Any) -> None:
    noise = replace(one_granule, streams={1: b"\x1a\xcf\xfc\x1d" * 5000, 2: bytes(50_000)})
    with pytest.raises(BadInputError, match=f"{one_granule.name(1, 1)}.*CADU"):
        bench.l0u(noise)


def test_a_session_without_files_is_refused(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "empty" / "ch_1").mkdir(parents=True)
    with pytest.raises(BadInputError, match="DSDB files"):
        bench.l0u(tmp_path / "empty")


def _instruments_own(count: int) -> list[bytes]:
    """Packets as whole as any, of image APIDs and others, whose content is of no layout that is known here."""
    rng = np.random.default_rng(7)
    apids = [512 + 16 * detector + band for detector in range(1, 13) for band in range(13)] + [0x102, 0x4F0]
    return [
        SpacePacket(apids[n % len(apids)], n, 10**18 + n * 10**6, rng.bytes(int(rng.integers(200, 2000)))).encode()
        for n in range(count)
    ]


def _foreign(session: Any, packets: list[bytes]) -> Any:
    encoders = {channel: ChannelEncoder(0xDA) for channel in (1, 2)}
    streams = {
        channel: encoder.idle(3) + encoder.add(7, packets[channel - 1 :: 2]) + encoder.flush(7)
        for channel, encoder in encoders.items()
    }
    return replace(session, streams=streams, packets={})


def _is_nothing(run: Any, *words: str) -> None:
    """Exit code 1 and no output: to the runner no product, whose cause is the log's last warning; the account has it
    as absent.
    """
    assert run.code == Exit.DEGRADED
    assert not [path for path in run.root.rglob("*") if path.is_file()]
    warnings = [line for line in run.log.splitlines() if "[W]" in line]
    assert all(word in warnings[-1] for word in ("no product", *words))


def test_a_session_of_the_instrument_itself_comes_to_nothing_and_says_why(bench: Any, one_granule: Any) -> None:
    run = bench.l0u(_foreign(one_granule, _instruments_own(600)))
    _is_nothing(run, "600 packets came", "not public")
    assert "packets by APID: {258: " in run.log


def test_real_packets_come_to_nothing_and_it_says_why(bench: Any, one_granule: Any, real_data: Path) -> None:
    (file,) = real_data.glob("l0_datastrip/*/ANC_DATA/*S09123*.bin")
    packets = [octets for _, octets in read_annotated(file)]
    _is_nothing(bench.l0u(_foreign(one_granule, packets)), "15 packets came", "not public")


def test_a_session_of_idle_frames_comes_to_nothing(bench: Any, one_granule: Any) -> None:
    _is_nothing(bench.l0u(_foreign(one_granule, [])), "the frames hold no packet")


def test_a_session_without_descriptor_is_refused(bench: Any, one_granule: Any) -> None:
    with pytest.raises(BadInputError, match="descriptor"):
        bench.l0u(replace(one_granule, streams={2: one_granule.streams[2]}))


@pytest.mark.parametrize(
    "text",
    [
        "no xml at all",
        '<!DOCTYPE a [<!ENTITY b "c">]><DCSU_Session_Information_Block>&b;</DCSU_Session_Information_Block>',
        "<Other/>",
    ],
)
def test_a_broken_dsib_is_noted_and_the_packets_are_kept(
    bench: Any, one_granule: Any, tmp_path: Path, text: str, packets_under: Packets
) -> None:
    folder = one_granule.store(tmp_path / "session")
    (folder / "ch_1" / one_granule.name(1)).write_text(text)
    run = bench.l0u(folder)
    assert run.code == Exit.DEGRADED
    assert one_granule.name(1) in run.log
    assert packets_under(run.root / "DS_GR_FOLDER") == _sent(one_granule)


def test_another_coding_is_named_by_the_order(bench: Any, other_link: Any, packets_under: Packets) -> None:
    run = bench.l0u(other_link, LINK_PROFILE="rs223-i5-dual")
    assert run.code == Exit.OK
    assert packets_under(run.root / "DS_GR_FOLDER") == _sent(other_link)
    with pytest.raises(BadInputError, match="link profile"):
        bench.l0u(other_link, LINK_PROFILE="rs200")


def test_the_spool_s_size_does_not_matter(
    bench: Any, one_granule: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tree(bench.l0u(one_granule).root)
    monkeypatch.setattr("functions.ipf.l0u.sorting._SPOOL_OCTETS", 1000)
    assert tree(bench.l0u(one_granule).root) == whole


damages = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat"]),
        st.sampled_from([1, 2]),
        st.floats(0, 1),
        st.integers(1, 9000),
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damages=damages, seed=st.integers(0, 1000))
def test_whatever_happens_to_the_link_the_account_closes(
    bench: Any, one_granule: Any, packets_under: Packets, damages: list[tuple[str, int, float, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    streams = dict(one_granule.streams)
    for how, channel, where, size in damages:
        stream = streams[channel]
        at = int(where * len(stream))
        part, tail = stream[at : at + size], stream[at + size :]
        if how == "flip":
            noise = rng.integers(0, 256, len(part), np.uint8) * (rng.random(len(part)) < 0.05)
            streams[channel] = stream[:at] + bytes(np.frombuffer(part, np.uint8) ^ noise.astype(np.uint8)) + tail
        elif how == "cut":
            streams[channel] = stream[:at] + tail
        elif how == "insert":
            streams[channel] = stream[:at] + rng.bytes(size) + stream[at:]
        else:
            streams[channel] = stream[: at + size] + part + tail
    try:
        run = bench.l0u(replace(one_granule, streams=streams))
    except BadInputError as error:
        if "APID 152" not in str(error):
            raise
        reject()  # the descriptors stand in few frames, which may all be hit: a case of its own
    report = _report(run)
    _closes(one_granule, report)
    assert not packets_under(run.root / "DS_GR_FOLDER") - _sent(one_granule)
    assert not any(count["malformed"] or count["crc_errors"] for count in report["packets"].values())


@pytest.mark.parametrize("frame", [9, 0])
def test_a_file_with_a_frame_beyond_correction_is_named(bench: Any, two_by_two: Any, frame: int) -> None:
    streams = {**two_by_two.streams, 2: _burst(frame)(two_by_two.streams[2])}
    run = bench.l0u(replace(two_by_two, streams=streams))
    ((name, count),) = _report(run)["channels"]["ch_2"]["files_with_uncorrectable_frames"].items()
    assert name.endswith("_ch2_DSDB_00001.raw")
    assert count == 1
    assert f"[W] {name}: frames that could not be corrected: 1" in run.log
