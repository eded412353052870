"""A JPEG 2000 file of some tiles becomes the file of the whole image, all other tiles being 0.

Encoding no data costs a second for a 10 m image, and most tiles of a datastrip's edge hold none. In a codestream
(ISO/IEC 15444-1, Annex A) tiles are coded independently of each other. So only the tiles that hold data are encoded, as
an image of their own with the whole image's origin; here its tiles are numbered anew, copies of coded empty tiles are
put around them, and the sizes in the headers are set right.

Conditions: one tile-part to a tile, no tile-length markers, and tile sizes that are powers of two. Code blocks and
precincts, powers of two themselves, are counted from the image's corner; only then are they the same in every tile.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING, Final

from shared.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TypeAlias

    Octets: TypeAlias = bytes | memoryview

_SOC: Final = 0xFF4F
_SIZ: Final = 0xFF51
_TLM: Final = 0xFF55
_SOT: Final = 0xFF90
_EOC: Final = b"\xff\xd9"
_SOT_LAYOUT: Final = struct.Struct(">HHHIBB")
_GML_HIGH: Final = re.compile(rb"<gml:high>[^<]*</gml:high>")


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole image's columns and rows, its tile size, and the first tile column and row of the part."""

    width: int
    height: int
    block: int
    tile_column: int
    tile_row: int

    @property
    def tiles_across(self) -> int:
        return -(-self.width // self.block)

    @property
    def tiles_down(self) -> int:
        return -(-self.height // self.block)


def empty_size(length: int, block: int) -> int:
    """Side of an image of zeros that has a tile of each shape of an image ``length`` long: inner and last."""
    tiles = -(-length // block)
    return length if tiles == 1 else block + length - (tiles - 1) * block


def enlarge(part: Octets, empty: Octets, at: Placement) -> list[Octets]:
    """The JP2 file of the whole image, in pieces; most are views of what is given, which may be large.

    Args:
        part: the JP2 file of the tiles that hold data.
        empty: the JP2 file, with the same coding, of zeros, of ``empty_size`` rows and columns.
        at: where the part stands.

    Raises:
        IntegrityError: where a file is not built as this module expects.
    """
    zeros = next((content for kind, content in _boxes(memoryview(empty)) if kind == b"jp2c"), memoryview(b""))
    return [piece for kind, content in _boxes(memoryview(part)) for piece in _rebuilt(kind, content, zeros, at)]


def is_whole(path: Path) -> bool:
    """Whether a JP2 file is as long as its boxes say and its codestream ends: GDAL reads a cut one as black."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        try:
            ends = [data[end - len(_EOC) : end] for kind, _, end in _spans(data) if kind == b"jp2c"]
        except (IntegrityError, struct.error):
            return False
    return ends == [_EOC]


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Type and content of the boxes one level down."""
    return ((kind, data[begin:end]) for kind, begin, end in _spans(data))


def _spans(data: memoryview | mmap) -> Iterator[tuple[bytes, int, int]]:
    """Type of each box one level down, and where its content begins and ends."""
    offset = 0
    while offset < len(data):
        if offset + 8 > len(data):
            raise IntegrityError("JP2 file: expected a box, found its end")
        length, kind = struct.unpack_from(">I4s", data, offset)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, offset + 8), 16
        elif length == 0:
            length = len(data) - offset
        if length < head or offset + length > len(data):
            raise IntegrityError(f"JP2 box {kind!r}: expected a length within the file, found {length}")
        yield kind, offset + head, offset + length
        offset += length


def _box(kind: bytes, content: list[Octets]) -> list[Octets]:
    length = sum(map(len, content))
    if length + 8 < 1 << 32:
        return [struct.pack(">I4s", length + 8, kind), *content]
    return [struct.pack(">I4sQ", 1, kind, length + 16), *content]


def _rebuilt(kind: bytes, content: memoryview, zeros: memoryview, at: Placement) -> list[Octets]:
    pieces: list[Octets] = [content]
    if kind in (b"jp2h", b"asoc"):
        pieces = [piece for inner, inside in _boxes(content) for piece in _rebuilt(inner, inside, zeros, at)]
    elif kind == b"ihdr":
        pieces = [struct.pack(">II", at.height, at.width), content[8:]]
    elif kind == b"xml ":
        pieces = [_GML_HIGH.sub(b"<gml:high>%d %d</gml:high>" % (at.width - 1, at.height - 1), bytes(content))]
    elif kind == b"jp2c":
        pieces = _codestream(content, zeros, at)
    return _box(kind, pieces)


def _codestream(data: memoryview, zeros: memoryview, at: Placement) -> list[Octets]:
    first = _first_tile(data)
    tiles, part_columns = dict(_tile_parts(data, first)), _columns(data, at.block)
    blanks, blank_columns = dict(_tile_parts(zeros, _first_tile(zeros))), _columns(zeros, at.block)
    header = bytearray(data[:first])
    struct.pack_into(">II", header, 8, at.width, at.height)
    struct.pack_into(">II", header, 24, at.block, at.block)  # a part narrower than a tile was given narrower tiles
    pieces: list[Octets] = [bytes(header)]
    for number in range(at.tiles_across * at.tiles_down):
        row, column = divmod(number, at.tiles_across)
        inner = (row - at.tile_row) * part_columns + column - at.tile_column
        if 0 <= column - at.tile_column < part_columns and inner in tiles:
            body = tiles[inner]
        else:
            last_row, last_column = row == at.tiles_down - 1, column == at.tiles_across - 1
            body = blanks[(last_row and at.tiles_down > 1) * blank_columns + (last_column and at.tiles_across > 1)]
        pieces += [_SOT_LAYOUT.pack(_SOT, 10, number, len(body) + 12, 0, 1), body]
    return [*pieces, _EOC]


def _columns(data: memoryview, block: int) -> int:
    """Tiles across, from the codestream's size."""
    (width,) = struct.unpack_from(">I", data, 8)
    return int(-(-width // block))


def _first_tile(data: memoryview) -> int:
    """Where the main header ends and the first tile-part begins."""
    if len(data) < 50 or struct.unpack_from(">HH", data) != (_SOC, _SIZ):
        raise IntegrityError("JPEG 2000 codestream: expected SOC and SIZ")
    offset = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, offset)
        if marker == _SOT:
            return offset
        if marker == _TLM:
            raise IntegrityError("JPEG 2000 codestream: expected no tile-length markers")
        offset += 2 + int(length)


def _tile_parts(data: memoryview, offset: int) -> Iterator[tuple[int, memoryview]]:
    """Number and body (what follows the SOT segment) of each tile-part."""
    while bytes(data[offset : offset + 2]) != _EOC:
        marker, _, number, length, part, _ = _SOT_LAYOUT.unpack_from(data, offset)
        if marker != _SOT or part != 0 or not 14 <= length <= len(data) - offset:
            raise IntegrityError(f"JPEG 2000 tile {number}: expected one tile-part within the codestream")
        yield number, data[offset + 12 : offset + length]
        offset += length
