"""What one instance has under way: a file is not fetched a second time beside the first.

The sweep announces a file again as long as it is not received. On a slow line each such event would else begin another
transfer of the same bytes, and make the line slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock


@dataclass
class UnderWay:
    """Versions of files (key and etag of their seen records) that are being fetched. Thread-safe."""

    _versions: set[tuple[str, ...]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def claim(self, *version: str) -> Iterator[bool]:
        """Whether nobody else in this process is at work on this version; then it is ours until the block ends."""
        with self._lock:
            mine = version not in self._versions
            self._versions.add(version)
        try:
            yield mine
        finally:
            if mine:
                with self._lock:
                    self._versions.discard(version)
