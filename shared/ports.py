"""Ports: what the steps ask of the world, as small protocols. ``shared.bootstrap`` builds the real ones.

Every method may raise ``RetryableError`` where the other side is down; the other errors are named per method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol

from shared.domain.events import Event


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of an object. ``metadata`` is filled by ``head`` only, its keys lower case, unprefixed."""

    key: str
    size: int
    etag: str
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload that the store already holds."""

    number: int
    size: int
    etag: str


class MultipartUpload(Protocol):
    """A multipart upload under way; not visible to any reader before ``complete``."""

    @property
    def parts(self) -> Sequence[Part]:
        """Parts that the store held when the upload was opened, by number (from 1), contiguous ones only."""
        ...

    def put_part(self, number: int, body: bytes) -> None:
        """Store one part (all but the last of at least 5 MiB). May be called from several threads."""
        ...

    def complete(self) -> str:
        """Make the object visible; returns its etag."""
        ...

    def abort(self) -> None:
        """Forget the upload and its parts."""
        ...


class ObjectStore(Protocol):
    """An S3 store. Keys are plain strings; etags are unquoted."""

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> str:
        """Write an object, replacing what was there; returns its etag."""
        ...

    def put_new(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bool:
        """Write an object only where none is (``If-None-Match: *``); False where one was, which is no error."""
        ...

    def put_if(
        self,
        bucket: str,
        key: str,
        body: bytes,
        etag: str,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bool:
        """Replace an object only where it still has ``etag`` (``If-Match``); False where it has changed or gone."""
        ...

    def get(self, bucket: str, key: str) -> tuple[bytes, ObjectInfo]:
        """A whole (small) object. ObjectAbsentError where there is none."""
        ...

    def read(self, bucket: str, key: str, *, start: int = 0) -> Iterator[bytes]:
        """An object's bytes from ``start`` in chunks of at most 1 MiB. ObjectAbsentError where there is none."""
        ...

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """What is known of an object, or None where there is none."""
        ...

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Objects under a prefix, in the order of their keys; pages are fetched as they are needed."""
        ...

    def folders(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """The common prefixes one level under ``prefix`` (delimiter ``/``), each ending in ``/``."""
        ...

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, size: int | None = None) -> str:
        """Server-side copy, of any size; returns the new etag. ObjectAbsentError where the source is not.

        Who knows the ``size`` of the source saves asking for it.
        """
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; no error where there is none."""
        ...

    def upload(self, bucket: str, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> str:
        """Write a file of any size (multipart where large), memory bounded; returns the etag."""
        ...

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Read an object of any size into a file, memory bounded. ObjectAbsentError where there is none."""
        ...

    def multipart(self, bucket: str, key: str, *, metadata: Mapping[str, str] | None = None) -> MultipartUpload:
        """Open a multipart upload, resuming the newest one under way for this key."""
        ...

    def ensure_bucket(self, bucket: str) -> None:
        """Create the bucket where it is not there."""
        ...


@dataclass(frozen=True, slots=True)
class StationFile:
    """One file at a pick-up point. ``path`` is for ``Station.read``; ``folder`` is the session's folder there."""

    path: str
    name: str
    tree: Literal["NOMINAL", "RETRANSFER"]
    satellite: str
    folder: str
    size: int
    modified: datetime


class Station(Protocol):
    """A pick-up point of raw session files."""

    @property
    def name(self) -> str:
        """The station's id, e.g. ``SGS_``."""
        ...

    def sessions(self) -> Iterator[tuple[Literal["NOMINAL", "RETRANSFER"], str, str]]:
        """(tree, satellite, session folder) of each session folder now at the station.

        Where a part cannot be listed, its error comes after what can. A station without folders gives the session's id
        for one, and one place for each session: its files say themselves whether they are retransfers.
        """
        ...

    def files(self, tree: Literal["NOMINAL", "RETRANSFER"], satellite: str, folder: str) -> Iterator[StationFile]:
        """Every file below a session folder that is neither temporary nor hidden, whatever its name."""
        ...

    def read(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        """A file's bytes from ``start``, in chunks of at most 1 MiB. ObjectAbsentError where it has gone."""
        ...


# The step of Jobs that clear up; no step of a graph can have this name.
CLEAN: Final = "clean_up"
STAGING_S: Final = 900
"""What a Job has beyond its IPF's time limit, s.

The runner stops an IPF itself, and saves its log; the platform's limit is for a runner that hangs."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One attempt at one work item, as a launcher needs it. ``name`` is a DNS label and the identity of the Job.

    ``shared``: the folder that it sees of its processor's shared volume, ``<session>/<datastrip>``. A Job that clears
    up what a session left on such a volume has the step ``CLEAN``, the claim for its unit, and no work.
    ``processor_set``: that a strategy decided; empty for that of the settings.
    """

    name: str
    work: str
    attempt: int
    session: str
    step: str
    unit: str
    cpus: float
    memory_mb: int
    time_limit_s: int
    deadline: datetime
    priority: int
    traceparent: str
    shared: str = ""
    processor_set: str = ""


@dataclass(frozen=True, slots=True)
class JobState:
    """How a Job stands.

    ``reason``: why it failed, where the platform knows: one word that does not change (``DeadlineExceeded``,
    ``OOMKilled``, ``Evicted``, ``NodeLost``, ``ImagePullBackOff``), or that, a colon and a sentence. ``stuck``: the
    Job counts as failed, but it is not over by itself: whoever settles it stops it first.
    """

    phase: Literal["waiting", "running", "succeeded", "failed"]
    exit_code: int | None = None
    reason: str = ""
    stuck: bool = False


class JobLauncher(Protocol):
    """Runs Jobs: Kubernetes, or local processes."""

    def launch(self, job: JobSpec) -> None:
        """Start a Job; a no-op where one of this name is known already."""
        ...

    def state(self, name: str) -> JobState | None:
        """How the Job stands, or None where it is not known (never launched, or cleaned up)."""
        ...

    def hasten(self, name: str) -> None:
        """Let a Job that waits go by the time that is left until its turn; no error where there is none."""
        ...

    def stop(self, name: str) -> None:
        """Take away a Job that is ``stuck``; no error where there is none."""
        ...


class EventSink(Protocol):
    """Where a function sends events of its own: the broker."""

    def send(self, event: Event) -> None:
        """Hand over one event. Delivery is a hint: nothing may depend on it."""
        ...
