"""What an acquisition unit leaves of a pass: DSDB chunks and the DSIB of each channel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.rehearsal.plan import Channel, SessionPlan

DOWNLINK_BYTES_S: Final = 35_000_000
"""280 Mbit/s on each of the two channels."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file of the session: path below the recording, size, SHA-256."""

    path: str
    size: int
    sha256: str


class ChannelRecorder:
    """Writes one channel's byte stream as chunks of equal size, the last one shorter."""

    def __init__(self, plan: SessionPlan, channel: Channel, root: Path, folder: str) -> None:
        self._plan = plan
        self._channel: Channel = channel
        self._root = root
        self._folder = folder
        self._pending = bytearray()
        self.files: list[RecordedFile] = []
        (root / folder).mkdir(parents=True, exist_ok=True)

    def write(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._pending += data
        size = self._plan.chunk_bytes
        while len(self._pending) >= size:
            self._store(bytes(self._pending[:size]))
            del self._pending[:size]

    def close(self) -> None:
        """Write the rest, then the DSIB."""
        if self._pending or not self.files:
            self._store(bytes(self._pending))
            self._pending.clear()
        chunks = self.files.copy()
        text = dsib_xml(
            str(self._plan.session),
            self._plan.session.start,
            [chunk.path.rpartition("/")[2] for chunk in chunks],
            sum(chunk.size for chunk in chunks),
        )
        self._keep(self._plan.dsib(self._channel), text)

    def _store(self, chunk: bytes) -> None:
        self._keep(self._plan.dsdb(self._channel, len(self.files) + 1), chunk)

    def _keep(self, name: str, content: bytes) -> None:
        path = f"{self._folder}/{name}"
        (self._root / path).write_bytes(content)
        self.files.append(RecordedFile(path, len(content), hashlib.sha256(content).hexdigest()))


def dsib_xml(session: str, start: datetime, names: Sequence[str], data_size: int) -> bytes:
    """A DSIB: session, times of the pass and of the files' making, names and summed size of a channel's chunks."""
    duration = timedelta(seconds=1 + data_size // DOWNLINK_BYTES_S)
    times = {
        "time_start": start,
        "time_stop": start + duration,
        "time_created": start + timedelta(seconds=2),
        "time_finished": start + duration + timedelta(seconds=3),
    }
    root = ET.Element("DCSU_Session_Information_Block")
    ET.SubElement(root, "session_id").text = session
    for name, when in times.items():
        ET.SubElement(root, name).text = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ET.SubElement(root, "data_size").text = str(data_size)
    listed = ET.SubElement(root, "dsdb_list")
    for name in names:
        ET.SubElement(listed, "dsdb_name").text = name
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True)) + b"\n"
