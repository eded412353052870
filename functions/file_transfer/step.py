"""File transfer: stream one file from its station into the store, resumed where an earlier request was cut."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from functions.file_transfer.parts import cut, part_size, usable
from functions.file_transfer.under_way import UnderWay
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.domain.names import SessionFile
from shared.errors import (
    BadInputError,
    ConfigurationError,
    IntegrityError,
    NotReadyError,
    ObjectAbsentError,
    StoreUnavailableError,
)
from shared.ledger import keys
from shared.ledger.records import Complete, Receipt, Seen
from shared.ports import MultipartUpload

_log: Final = logging.getLogger(__name__)
_IN_FLIGHT: Final = 2
_FOREIGN_UPLOADS: Final = 8


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is in the store now; ``sha256`` is empty where it must be read back."""

    etag: str
    sha256: str
    resumed_from: int = 0


@dataclass(frozen=True)
class _Transfer:
    """One request's work on one version of a file."""

    services: Services
    seen: Seen
    seen_key: str
    seen_etag: str
    key: str
    started: datetime

    @property
    def what(self) -> str:
        return f"{self.seen.file} of station {self.seen.station}"

    def current(self) -> bool:
        """Whether the station still listed this version when it was last polled, and the session still takes files."""
        services, seen = self.services, self.seen
        info = services.store.head(services.settings.bucket_ledger, self.seen_key)
        return info is not None and info.etag == self.seen_etag and not _settled(services, seen.session, self.key)

    def metadata(self, sha256: str = "") -> dict[str, str]:
        noted = {
            "station-modified": self.seen.modified.isoformat(),
            "traceparent": self.services.trace(self.seen.session),
        }
        return noted | ({"sha256": sha256} if sha256 else {})

    def chunks(self, start: int) -> Iterator[bytes]:
        """The file's bytes from ``start``; NotReadyError where it does not end where the station listed it to."""
        seen, at = self.seen, start
        station = self.services.stations.get(seen.station)
        if station is None:
            raise ConfigurationError(f"S2PS_STATIONS: no station {seen.station}, where {seen.file} was seen")
        for chunk in station.read(seen.path, start=start):
            at += len(chunk)
            if at > seen.size:
                break
            yield chunk
        if at != seen.size:
            found = "more" if at > seen.size else f"{at}"
            raise _DiffersError(f"{self.what}: {seen.size} bytes were listed, {found} came; it is awaited anew")

    def in_time(self) -> bool:
        budget = timedelta(seconds=self.services.settings.transfer_budget_s)
        return self.services.clock.now() - self.started < budget


class _DiffersError(NotReadyError):
    """The station's bytes are not those that it listed: parts of them are of no use."""


def transfer(event: Event, services: Services, under_way: UnderWay | None = None) -> Receipt | None:
    """Bring the file of the seen record at ``event.subject`` into the store; None where nothing was left to do.

    NotReadyError where the time of one request is over, or the station holds another file than it listed: the same
    request goes on later. Duplicates of it in one process (which share ``under_way``) leave the work to the first;
    elsewhere, even at the same time, they write the same bytes to the same place.
    """
    place = keys.parse_session(event.subject)
    if place is None or not place[1].startswith("seen/"):
        raise BadInputError("event, subject", "the key of a seen record", event.subject)
    seen, etag = services.ledger.read_with_etag(event.subject, Seen)
    with (under_way or UnderWay()).claim(event.subject, etag) as mine:
        if not mine:
            _log.info("%s: its transfer is under way", seen.file)
            return None
        return _transfer(_Transfer(services, seen, event.subject, etag, object_key(seen), services.clock.now()))


def _transfer(work: _Transfer) -> Receipt | None:
    services, seen = work.services, work.seen
    receipt_key = keys.receipt(seen.session, seen.file)
    if _answered(services, receipt_key, seen):
        return None
    if _settled(services, seen.session, work.key):
        _log.info("%s: its session is complete, a later version changes nothing", seen.file)
        return None
    step = part_size(seen, services.settings.transfer_part_mb)
    try:
        stored = _small(work) if seen.size <= step else _large(work, step)
    except ObjectAbsentError:
        # The file has gone from the station, or a twin of this request has ended the upload that they shared.
        if _answered(services, receipt_key, seen):
            return None
        raise NotReadyError(f"{work.what}: it, or the upload under way, has gone") from None
    if stored is None:
        return None
    if not stored.sha256:
        stored = replace(stored, sha256=_read_back(work))
    return _write_receipt(work, receipt_key, stored)


def object_key(seen: Seen) -> str:
    """``<station>/<satellite>/<session>/ch_<n>/<file>``."""
    file = SessionFile.parse(seen.file)
    return f"{seen.station}/{seen.satellite}/{seen.session}/ch_{file.channel}/{seen.file}"


def _answered(services: Services, receipt_key: str, seen: Seen) -> bool:
    receipt = services.ledger.find(receipt_key, Receipt)
    return receipt is not None and (receipt.size, receipt.modified) == (seen.size, seen.modified)


def _settled(services: Services, session: str, key: str) -> bool:
    """Whether the session was completed with this object: from then on its bytes stay as they are."""
    complete = services.ledger.find(keys.complete(session), Complete)
    return complete is not None and any(chunk.key == key for chunk in complete.files)


def _small(work: _Transfer) -> _Stored | None:
    """A file of one part, by one conditional write: an older version that comes late does not replace a newer one."""
    services, bucket = work.services, work.services.settings.bucket_sessions
    before = services.store.head(bucket, work.key)
    body = b"".join(work.chunks(0))
    sha256 = hashlib.sha256(body).hexdigest()
    if not work.current():
        return None
    metadata, kind = work.metadata(sha256), "application/octet-stream"
    if before is None:
        written = services.store.put_new(bucket, work.key, body, metadata=metadata, content_type=kind)
    else:
        written = services.store.put_if(bucket, work.key, body, before.etag, metadata=metadata, content_type=kind)
    now = services.store.head(bucket, work.key)
    if now is None or not (written or now.metadata.get("sha256") == sha256):
        raise NotReadyError(f"{work.what}: another transfer of it was under way")
    return _Stored(now.etag, sha256)


def _large(work: _Transfer, step: int) -> _Stored | None:
    """A file of several parts. Reading and hashing go on while earlier parts are written; three parts in memory."""
    upload = _open(work, step)
    start = sum(part.size for part in upload.parts)
    digest = hashlib.sha256()
    try:
        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            under_way: deque[Future[None]] = deque()
            number, at = len(upload.parts), start
            for body in cut(work.chunks(start), step) if start < work.seen.size else ():
                number, at = number + 1, at + len(body)
                if len(under_way) == _IN_FLIGHT:
                    under_way.popleft().result()
                under_way.append(pool.submit(upload.put_part, number, body))
                digest.update(body)
                if at < work.seen.size and not work.in_time():
                    raise NotReadyError(f"{work.what}: {at} of {work.seen.size} bytes are here, the rest comes later")
            for future in under_way:
                future.result()
        if not work.current():
            upload.abort()
            return None
    except _DiffersError:
        upload.abort()
        raise
    etag = upload.complete()
    return _Stored(etag, digest.hexdigest() if start == 0 else "", start)


def _open(work: _Transfer, step: int) -> MultipartUpload:
    """The upload to go on with. Uploads of another version of the file, or cut otherwise, are ended on the way."""
    bucket = work.services.settings.bucket_sessions
    for _ in range(_FOREIGN_UPLOADS):
        upload = work.services.store.multipart(bucket, work.key, metadata=work.metadata())
        if usable(upload.parts, work.seen.size, step):
            return upload
        upload.abort()
    raise StoreUnavailableError(f"object store, {bucket}/{work.key}: uploads of other versions do not end")


def _read_back(work: _Transfer) -> str:
    """The SHA-256 of what the store holds: of a resumed transfer, no single request saw all bytes."""
    bucket = work.services.settings.bucket_sessions
    digest, size = hashlib.sha256(), 0
    for chunk in work.services.store.read(bucket, work.key):
        digest.update(chunk)
        size += len(chunk)
    if size != work.seen.size:
        work.services.store.delete(bucket, work.key)
        raise IntegrityError(f"{work.what}: {work.seen.size} bytes were written, the store holds {size}")
    return digest.hexdigest()


def _write_receipt(work: _Transfer, receipt_key: str, stored: _Stored) -> Receipt | None:
    services, seen = work.services, work.seen
    now = services.clock.now()
    record = Receipt(
        created=now,
        traceparent=services.trace(seen.session),
        session=seen.session,
        file=seen.file,
        key=work.key,
        size=seen.size,
        sha256=stored.sha256,
        etag=stored.etag,
        modified=seen.modified,
        seconds=round((now - work.started).total_seconds(), 3),
        resumed_from=stored.resumed_from,
    )
    if services.ledger.create(receipt_key, record):
        return record
    older, etag = services.ledger.read_with_etag(receipt_key, Receipt)
    if (older.size, older.modified) == (seen.size, seen.modified):
        return None
    if not work.current():
        # A newer version was transferred while this one ended: which bytes came last is not known. Once more, then.
        services.ledger.delete(receipt_key)
        raise NotReadyError(f"{work.what}: a newer version came while it was transferred")
    if not services.ledger.replace(receipt_key, record, etag):
        raise NotReadyError(f"{work.what}: another transfer of it wrote its receipt meanwhile")
    return record
