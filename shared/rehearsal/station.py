"""A ground station's pick-up point: a WebDAV server over a folder, with basic authentication.

``python -m shared.rehearsal.station <served folder> [<recording>]`` serves, and plays the recording as a pass.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self
from xml.etree import ElementTree as ET

import click
from cheroot.wsgi import Server
from defusedxml.ElementTree import fromstring
from wsgidav.fs_dav_provider import FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp

from shared.errors import S2psError
from shared.rehearsal.faults import FaultPlan, Traversal, parse_fault
from shared.rehearsal.playing import Pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DAV: Final = "{DAV:}"
_Wsgi = Any  # wsgiref.types begins with Python 3.11, but neither library is typed


@dataclass
class WebDavServer:
    """A running station.

    Args:
        root: the folder that is served; made where it is not there.
        user: for basic authentication.
        password: likewise.
        host: address to listen on.
        port: 0 for a free one.
        faults: a ``Traversal`` among them adds its address to the NOMINAL listings of channels.
        log: called with method, path and status of every request.

    Use it as a context manager, or ``start`` and ``close`` it.
    """

    root: Path
    user: str = "s2ps"
    password: str = "rehearsal"  # noqa: S105 - a station on the loopback, with nothing to guard
    host: str = "127.0.0.1"
    port: int = 0
    faults: FaultPlan = field(default_factory=FaultPlan)
    log: Callable[[str, str, str], None] | None = None

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        logging.getLogger("wsgidav").setLevel(
            logging.CRITICAL
        )  # it warns of what is meant here; requests go to ``log``
        application: _Wsgi = WsgiDAVApp(_configuration(self.root, self.user, self.password))
        names = [fault.name for fault in self.faults.delivery if isinstance(fault, Traversal)]
        application = _Observed(_Hostile(application, names) if names else application, self.log)
        self._server = Server((self.host, self.port), application, numthreads=8, server_name="s2ps-station")
        self._server.shutdown_timeout = 2
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base address, of the NOMINAL and RETRANSFER trees."""
        return f"http://{self.host}:{self.port}/"

    def start(self) -> Self:
        """Listen; returns when requests are answered."""
        self._server.prepare()
        self.port = self._server.bind_addr[1]
        self._thread = threading.Thread(target=self._server.serve, name="station", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """End all connections and the server's threads."""
        self._server.stop()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def _configuration(root: Path, user: str, password: str) -> dict[str, Any]:
    """Read-only, without directory pages, locks or property store: what a pick-up point is."""
    return {
        "provider_mapping": {"/": FilesystemProvider(str(root), readonly=True, fs_opts={})},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"*": {user: {"password": password}}}},
        "dir_browser": {"enable": False},
        "property_manager": False,
        "lock_storage": False,
        "verbose": 1,
        "logging": {"enable": False},
        "suppress_version_info": True,
    }


class _Observed:
    """Tells of every request."""

    def __init__(self, application: _Wsgi, log: Callable[[str, str, str], None] | None) -> None:
        self._application = application
        self._log = log

    def __call__(self, environ: dict[str, Any], start_response: _Wsgi) -> Iterable[bytes]:
        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if self._log is not None:
                self._log(environ["REQUEST_METHOD"], environ["PATH_INFO"], status)
            return start_response(status, headers, exc_info)

        answer: Iterable[bytes] = self._application(environ, started)
        return answer


class _Hostile:
    """Adds a file to the listings of NOMINAL channel folders, under an address that climbs out of them."""

    def __init__(self, application: _Wsgi, names: list[str]) -> None:
        self._application = application
        self._names = names

    def __call__(self, environ: dict[str, Any], start_response: _Wsgi) -> Iterable[bytes]:
        path = environ["PATH_INFO"].rstrip("/")
        listed = environ["REQUEST_METHOD"] == "PROPFIND" and path.startswith("/NOMINAL/")
        if not listed or not path.rpartition("/")[2].startswith("ch"):
            plain: Iterable[bytes] = self._application(environ, start_response)
            return plain
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def hold(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], None]:
            started.append((status, headers))
            return lambda _: None

        pieces = self._application(environ, hold)
        body = b"".join(pieces)
        if hasattr(pieces, "close"):
            pieces.close()
        status, headers = started[0]
        if status.startswith("207"):
            body = self._with_strangers(body, path)
            headers = [entry for entry in headers if entry[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [body]

    def _with_strangers(self, body: bytes, path: str) -> bytes:
        root = fromstring(body)
        for name in self._names:
            response = ET.SubElement(root, f"{_DAV}response")
            ET.SubElement(response, f"{_DAV}href").text = f"{path}/{name}"
            found = ET.SubElement(response, f"{_DAV}propstat")
            properties = ET.SubElement(found, f"{_DAV}prop")
            ET.SubElement(properties, f"{_DAV}resourcetype")
            ET.SubElement(properties, f"{_DAV}getcontentlength").text = "1000"
            ET.SubElement(properties, f"{_DAV}getlastmodified").text = "Sun, 21 Jun 2026 10:50:00 GMT"
            ET.SubElement(found, f"{_DAV}status").text = "HTTP/1.1 200 OK"
        return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


@click.command()
@click.argument("served", type=click.Path(path_type=Path, file_okay=False))
@click.argument("recording", type=click.Path(path_type=Path, file_okay=False, exists=True), required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for every one")
@click.option("--port", default=0, help="0 for a free one")
@click.option("--user", default="s2ps", show_default=True)
@click.option("--password", default="rehearsal", show_default=True)
@click.option("--rate", default=0.0, help="Megabytes in a second; 0 for at once")
@click.option("--fault", "faults", multiple=True, help="Delivery faults, e.g. truncate:channel=1,number=2,keep=1000")
def main(
    served: Path,
    recording: Path | None,
    host: str,
    port: int,
    user: str,
    password: str,
    rate: float,
    faults: tuple[str, ...],
) -> None:
    """Serve the folder SERVED by WebDAV, and play RECORDING into it; the first line printed is the address."""
    stopped = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        plan = FaultPlan(tuple(parse_fault(text) for text in faults))
        player = Pass(recording, served, plan, rate * 1e6) if recording is not None else None
    except S2psError as error:
        raise click.ClickException(str(error)) from None
    with WebDavServer(served, user, password, host=host, port=port, faults=plan) as station:
        click.echo(station.url)
        sys.stdout.flush()
        playing = threading.Thread(target=player.play, name="pass") if player is not None else None
        if playing is not None:
            playing.start()
        stopped.wait()
        if player is not None and playing is not None:
            player.stop()
            playing.join()


if __name__ == "__main__":
    main()
