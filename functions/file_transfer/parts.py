"""How a file is cut into parts, and whether parts that the store holds are of this file: pure arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shared.ledger.records import Seen
from shared.ports import Part

MIB: Final = 1 << 20
_MOST_PARTS: Final = 9000


def part_size(seen: Seen, part_mb: int) -> int:
    """Bytes of each part but the last: ``part_mb`` MiB and up to one more.

    The odd bytes are a digest of what the station listed (path, size, time). S3 keeps no note with an upload under
    way: the size of its parts is the mark by which a later request knows whether they are of this version of the file.
    """
    listed = f"{seen.path}\n{seen.size}\n{seen.modified.isoformat()}"
    mark = int.from_bytes(hashlib.sha256(listed.encode()).digest()[:4]) % MIB
    return max(part_mb * MIB, -(-seen.size // _MOST_PARTS)) + mark


def usable(parts: Sequence[Part], size: int, step: int) -> bool:
    """Whether held parts are the beginning of a file of ``size`` bytes cut every ``step`` bytes."""
    return all(part.size == min(step, size - n * step) for n, part in enumerate(parts))


def cut(chunks: Iterable[bytes], step: int) -> Iterator[bytes]:
    """The bytes of ``chunks`` in parts of ``step`` bytes, the last one shorter; at most one part is held."""
    held: list[bytes] = []
    length = 0
    for chunk in chunks:
        rest = chunk
        while length + len(rest) >= step:
            held.append(rest[: step - length])
            rest = rest[step - length :]
            part = b"".join(held)
            held, length = [], 0  # before the part goes out: who takes it may keep us waiting
            yield part
        if rest:
            held.append(rest)
            length += len(rest)
    if held:
        yield b"".join(held)
