"""The rehearsal's station over real HTTP: what a client sees of it, and the service's own client most of all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from defusedxml.ElementTree import fromstring
from pydantic import SecretStr

from shared.adapters.webdav import WebDavStation
from shared.places import StationSettings
from shared.rehearsal.faults import Clutter, FaultPlan, RetransferChunk, Traversal
from shared.rehearsal.plan import CHANNELS, SessionPlan
from shared.rehearsal.playing import Pass
from shared.rehearsal.recording import ChannelRecorder
from shared.rehearsal.station import WebDavServer

PLAN = SessionPlan(chunk_bytes=100_000)
FAULTS = FaultPlan((Clutter(), Traversal("../../x"), RetransferChunk(1, 1, "RETRANSFER")))
CREDENTIALS = urllib3.make_headers(basic_auth="s2ps:rehearsal")


def record(root: Path, folder: str = "ch_{}") -> Path:
    for channel in CHANNELS:
        recorder = ChannelRecorder(PLAN, channel, root, f"{PLAN.folder}/{folder.format(channel)}")
        recorder.write(os.urandom(250_000))
        recorder.close()
    return root


@pytest.fixture
def station(tmp_path: Path) -> Iterator[WebDavServer]:
    recording = record(tmp_path / "recording")
    with WebDavServer(tmp_path / "served", faults=FAULTS) as server:
        Pass(recording, tmp_path / "served", FAULTS).play()
        yield server


def client(server: WebDavServer) -> WebDavStation:
    return WebDavStation(StationSettings(name="TST_", url=server.url, user="s2ps", password=SecretStr("rehearsal")))


def hrefs(body: bytes) -> list[str]:
    return [str(entry.text) for entry in fromstring(body).iter("{DAV:}href")]


def test_a_listing_of_depth_one_names_what_stands_in_the_folder(station: WebDavServer) -> None:
    answer = urllib3.request("PROPFIND", f"{station.url}NOMINAL/S2A/", headers=CREDENTIALS | {"Depth": "1"})
    assert answer.status == 207
    assert hrefs(answer.data) == ["/NOMINAL/S2A/", f"/NOMINAL/{PLAN.folder}/"]


def test_whoever_has_no_password_sees_nothing(station: WebDavServer) -> None:
    for method in ("PROPFIND", "GET"):
        answer = urllib3.request(method, f"{station.url}NOMINAL/")
        assert answer.status == 401
        assert "Basic" in answer.headers["WWW-Authenticate"]
    wrong = urllib3.make_headers(basic_auth="s2ps:guess")
    assert urllib3.request("PROPFIND", f"{station.url}NOMINAL/", headers=wrong).status == 401


def test_files_are_read_by_range(station: WebDavServer, tmp_path: Path) -> None:
    path = f"{PLAN.folder}/ch_2/{PLAN.dsdb(2, 1)}"
    whole = (tmp_path / "recording" / path).read_bytes()
    answer = urllib3.request("GET", f"{station.url}NOMINAL/{path}", headers=CREDENTIALS | {"Range": "bytes=99000-"})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == "bytes 99000-99999/100000"
    assert answer.data == whole[99_000:]


def test_nothing_can_be_written(station: WebDavServer, tmp_path: Path) -> None:
    target = f"{station.url}NOMINAL/{PLAN.folder}/ch_1/{PLAN.dsdb(1, 1)}"
    for method, body in (("PUT", b"x"), ("DELETE", None), ("MOVE", None)):
        headers = CREDENTIALS | {"Destination": f"{station.url}NOMINAL/y"}
        assert urllib3.request(method, target, headers=headers, body=body).status == 403
    assert (tmp_path / "served" / "NOMINAL" / PLAN.folder / "ch_1" / PLAN.dsdb(1, 1)).stat().st_size == 100_000


def test_the_service_s_client_finds_the_session_and_reads_it(station: WebDavServer, tmp_path: Path) -> None:
    reader = client(station)
    folder = PLAN.folder.removeprefix("S2A/")
    assert set(reader.sessions()) == {("NOMINAL", "S2A", folder), ("RETRANSFER", "S2A", folder)}
    files = {file.name: file for file in reader.files("NOMINAL", "S2A", folder)}
    expected = {PLAN.dsib(c) for c in CHANNELS} | {PLAN.dsdb(c, n) for c in CHANNELS for n in (1, 2, 3)}
    assert expected <= set(files)
    strangers = set(files) - expected
    assert strangers
    assert all(name.endswith("../../x") for name in strangers)
    assert {file.size for name, file in files.items() if name.endswith("DSDB_00003.raw")} == {50_000}
    body = b"".join(reader.read(files[PLAN.dsdb(1, 2)].path, start=0))
    assert body == (tmp_path / "recording" / PLAN.folder / "ch_1" / PLAN.dsdb(1, 2)).read_bytes()
    again = list(reader.files("RETRANSFER", "S2A", folder))
    assert [file.name for file in again] == [PLAN.dsdb(1, 1)]


def test_listings_of_channels_hold_the_address_that_climbs_out(station: WebDavServer) -> None:
    path = f"/NOMINAL/{PLAN.folder}/ch_1"
    answer = urllib3.request("PROPFIND", f"{station.url}{path[1:]}/", headers=CREDENTIALS | {"Depth": "1"})
    assert f"{path}/../../x" in hrefs(answer.data)
    assert len(answer.data) == int(answer.headers["Content-Length"])


@pytest.mark.parametrize("folder", ["ch_{}", "ch{}", "ch0{}"])
def test_channel_folders_are_found_under_all_their_names(tmp_path: Path, folder: str) -> None:
    recording = record(tmp_path / "recording", folder)
    with WebDavServer(tmp_path / "served") as server:
        Pass(recording, tmp_path / "served").play()
        files = list(client(server).files("NOMINAL", "S2A", PLAN.folder.removeprefix("S2A/")))
    assert len(files) == 8


def test_a_closed_station_leaves_its_port(tmp_path: Path) -> None:
    with WebDavServer(tmp_path / "served") as server:
        port = server.port
        assert urllib3.request("PROPFIND", server.url, headers=CREDENTIALS | {"Depth": "0"}).status == 207
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_requests_are_told(tmp_path: Path) -> None:
    told: list[tuple[str, str, str]] = []
    with WebDavServer(tmp_path / "served", log=lambda *request: told.append(request)) as server:
        urllib3.request("PROPFIND", f"{server.url}nowhere/", headers=CREDENTIALS | {"Depth": "1"})
    assert told == [("PROPFIND", "/nowhere/", "404 Not Found")]


def test_the_command_serves_a_pass_and_ends_on_a_signal(tmp_path: Path) -> None:
    recording = record(tmp_path / "recording")
    command = [sys.executable, "-m", "shared.rehearsal.station", str(tmp_path / "served"), str(recording)]
    process = subprocess.Popen([*command, "--rate", "0.4"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        first = f"{url}NOMINAL/{PLAN.folder}/ch_1/{PLAN.dsdb(1, 1)}"
        retries = urllib3.Retry(total=20, status_forcelist=[404], backoff_factor=0.05, backoff_max=0.5)
        answer = urllib3.request("GET", first, headers=CREDENTIALS, retries=retries)
        assert len(answer.data) == 100_000
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert len(list((tmp_path / "served").rglob("*.raw"))) < 6
