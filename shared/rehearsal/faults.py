"""What may go wrong in a rehearsal, as data: on the link, and at the station.

Link faults change a channel's CADUs before they are cut into chunks; they are part of the recorded session. Delivery
faults change what the station shows of a recorded session, and when. Each can be written as a short text, for command
lines::

    corrupt:channel=1,frame=120,symbols=9      drop:channel=2,frame=40,frames=3      noise:channel=1,rate=1e-6
    truncate:channel=1,number=2,keep=1000      late:channel=2,number=1               retransfer:channel=1,number=3
    dsib:channel=1,how=not-xml                 clutter                               traversal:name=../../x
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.ccsds.link import LinkProfile

ChannelNumber = Annotated[int, Field(ge=1, le=2)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
DsibHow = Literal["first", "corrected-later", "not-xml", "entity-bomb", "absent"]


@dataclass(frozen=True, slots=True)
class CorruptFrame:
    """``symbols`` different octets of one code word of a CADU are changed: more than E of them cannot be corrected.

    Attributes:
        channel: 1 or 2.
        frame: index of the CADU in its channel, from 0.
        symbols: how many octets.
    """

    channel: ChannelNumber
    frame: Count
    symbols: Positive = 3


@dataclass(frozen=True, slots=True)
class BitNoise:
    """Every bit of a channel (sync markers too) flips with a probability."""

    channel: ChannelNumber
    rate: Annotated[float, Field(ge=0, le=1)] = 1e-6


@dataclass(frozen=True, slots=True)
class DropFrames:
    """CADUs that never arrive: ``frames`` of them from index ``frame`` on."""

    channel: ChannelNumber
    frame: Count
    frames: Positive = 1


@dataclass(frozen=True, slots=True)
class TruncateChunk:
    """The station shows only a chunk's first ``keep`` octets, for good."""

    channel: ChannelNumber
    number: Positive
    keep: Count = 1000


@dataclass(frozen=True, slots=True)
class LateChunk:
    """A chunk appears after everything else, DSIBs included."""

    channel: ChannelNumber
    number: Positive


@dataclass(frozen=True, slots=True)
class RetransferChunk:
    """A chunk first appears damaged (its last octets zero), and whole under the same name after everything else.

    ``tree`` says where the second one appears.
    """

    channel: ChannelNumber
    number: Positive
    tree: Literal["NOMINAL", "RETRANSFER"] = "NOMINAL"


@dataclass(frozen=True, slots=True)
class DsibFault:
    """A channel's DSIB before all chunks, first wrong then corrected, not XML, with an entity bomb, or never there."""

    channel: ChannelNumber
    how: DsibHow = "not-xml"


@dataclass(frozen=True, slots=True)
class Clutter:
    """Hidden and temporary files among the chunks, and a ``lost+found`` folder."""


@dataclass(frozen=True, slots=True)
class Traversal:
    """Listings hold one more file, whose address climbs out of the folder."""

    name: str = "../../x"


LinkFault = CorruptFrame | BitNoise | DropFrames
DeliveryFault = TruncateChunk | LateChunk | RetransferChunk | DsibFault | Clutter | Traversal
Fault = LinkFault | DeliveryFault

_BY_NAME: Final[dict[str, type[Fault]]] = {
    "corrupt": CorruptFrame,
    "noise": BitNoise,
    "drop": DropFrames,
    "truncate": TruncateChunk,
    "late": LateChunk,
    "retransfer": RetransferChunk,
    "dsib": DsibFault,
    "clutter": Clutter,
    "traversal": Traversal,
}


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """All faults of a rehearsal; ``seed`` chooses the places that they leave open."""

    faults: tuple[Fault, ...] = ()
    seed: int = 1

    @property
    def link(self) -> tuple[LinkFault, ...]:
        """Those on the link."""
        return tuple(fault for fault in self.faults if isinstance(fault, LinkFault))

    @property
    def delivery(self) -> tuple[DeliveryFault, ...]:
        """Those at the station."""
        return tuple(fault for fault in self.faults if isinstance(fault, DeliveryFault))


def parse_fault(text: str) -> Fault:
    """A fault written as ``name:key=value,...``; ConfigurationError that says what is wrong with it."""
    name, _, rest = text.partition(":")
    kind = _BY_NAME.get(name)
    if kind is None:
        raise ConfigurationError(f"fault {text!r}: expected one of {', '.join(_BY_NAME)}")
    pairs = [entry.partition("=") for entry in rest.split(",") if entry]
    known = {entry.name for entry in fields(kind)}
    for key, _, _ in pairs:
        if key not in known:
            raise ConfigurationError(f"fault {text!r}: expected no {key!r}, but any of {', '.join(sorted(known))}")
    return _checked(kind, {key: value for key, _, value in pairs}, f"fault {text!r}")


def _checked(kind: type[Fault], values: dict[str, Any], what: str) -> Fault:
    adapter: TypeAdapter[Fault] = TypeAdapter(kind)
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors())
        raise ConfigurationError(f"{what}: {wrong}") from None


def describe_fault(fault: Fault) -> dict[str, Any]:
    """The fault as JSON."""
    name = next(name for name, kind in _BY_NAME.items() if type(fault) is kind)
    return {"fault": name} | {entry.name: getattr(fault, entry.name) for entry in fields(fault)}


def restore_fault(described: dict[str, Any]) -> Fault:
    """The fault that ``describe_fault`` described; ConfigurationError where it is none."""
    kind = _BY_NAME.get(described.get("fault", ""))
    if kind is None:
        raise ConfigurationError(f"fault {described}: expected one of {', '.join(_BY_NAME)}")
    return _checked(kind, {name: value for name, value in described.items() if name != "fault"}, f"fault {described}")


@dataclass
class LinkDisturber:
    """Applies one channel's link faults to its CADUs as they are made.

    Args:
        profile: the link's coding.
        channel: 1 or 2.
        plan: all faults; those of other channels are left out.
    """

    profile: LinkProfile
    channel: ChannelNumber
    plan: FaultPlan
    frames: int = 0
    _random: np.random.Generator = field(init=False)
    _faults: Sequence[LinkFault] = field(init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng((self.plan.seed, self.channel))
        self._faults = [fault for fault in self.plan.link if fault.channel == self.channel]

    def __call__(self, cadus: bytes) -> bytes:
        """The next CADUs as they arrive."""
        size = self.profile.cadu_octets
        first, count = self.frames, len(cadus) // size
        self.frames += count
        if not self._faults or not count:
            return cadus
        rows = np.frombuffer(cadus, np.uint8).reshape(count, size).copy()
        arrives = np.ones(count, np.bool_)
        for fault in self._faults:
            if isinstance(fault, BitNoise):
                self._flip(rows, fault.rate)
            elif isinstance(fault, DropFrames):
                begin = max(fault.frame - first, 0)
                arrives[begin : max(fault.frame + fault.frames - first, 0)] = False
            elif first <= fault.frame < first + count:
                self._corrupt(rows[fault.frame - first], fault.symbols)
        return rows[arrives].tobytes()

    def _corrupt(self, cadu: np.ndarray[tuple[int], np.dtype[np.uint8]], symbols: int) -> None:
        """Change symbols of the first code word of the interleaved block."""
        code = self.profile.code
        marker = self.profile.cadu_octets - code.block_octets
        length = code.block_octets // code.depth
        places = self._random.choice(length, size=min(symbols, length), replace=False)
        cadu[marker + places * code.depth] ^= self._random.integers(1, 256, len(places)).astype(np.uint8)

    def _flip(self, rows: np.ndarray[tuple[int, int], np.dtype[np.uint8]], rate: float) -> None:
        flat = rows.reshape(-1)
        places = self._random.integers(0, flat.size * 8, self._random.binomial(flat.size * 8, rate))
        np.bitwise_xor.at(flat, places // 8, (1 << (places % 8)).astype(np.uint8))
