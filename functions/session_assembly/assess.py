"""Is a session whole? Pure decisions over what its DSIBs name and what was received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.dsib import Dsib
from shared.ledger.records import Receipt, Seen

CHANNELS = (1, 2)


@dataclass(frozen=True, slots=True)
class Assessment:
    """``missing``: what is still awaited, in words. ``refused``: (file, reason) of what cannot be right as it is."""

    missing: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def whole(self) -> bool:
        return not self.missing and not self.refused


def awaited(dsibs: Mapping[int, Dsib], received: set[str]) -> tuple[str, ...]:
    """Names that are still awaited, from names alone."""
    absent = [f"the DSIB of channel {channel}" for channel in CHANNELS if channel not in dsibs]
    return (*absent, *(name for channel in sorted(dsibs) for name in dsibs[channel].names if name not in received))


def assess(dsibs: Mapping[int, Dsib], receipts: Mapping[str, Receipt], seen: Mapping[str, Seen]) -> Assessment:
    """Whether both channels are whole: every name received with the listed size, their sum being ``data_size``.

    A channel whose files are all here is judged, whatever the other one still lacks.
    """
    absent = awaited(dsibs, set(receipts))
    changed = [
        name
        for name, receipt in receipts.items()
        if (listed := seen.get(name)) is not None and (listed.size, listed.modified) != (receipt.size, receipt.modified)
    ]
    missing = (*absent, *(f"{name} as the station lists it now ({seen[name].size} bytes)" for name in changed))
    here = [dsib for dsib in dsibs.values() if {*absent, *changed}.isdisjoint(dsib.names)]
    return Assessment(missing, tuple(wrong for dsib in here for wrong in _wrong_sum(dsib, receipts)))


def _wrong_sum(dsib: Dsib, receipts: Mapping[str, Receipt]) -> list[tuple[str, str]]:
    """What is wrong with a channel of which all is here: (file, reason), nothing where its sum is the DSIB's."""
    sizes = [(name, receipts[name].size) for name in dsib.names]
    total = sum(size for _, size in sizes)
    if total == dsib.data_size:
        return []
    wrong = f"channel {dsib.channel}: the DSDBs hold {total} bytes, the DSIB's data_size is {dsib.data_size}"
    suspects = odd_sizes(sizes) if total < dsib.data_size else ()
    if not suspects:
        ending = f"_ch{dsib.channel}_DSIB.xml"
        return [(next((name for name in receipts if name.endswith(ending)), ending), wrong)]
    return [(name, f"{wrong}; {size} bytes here, fewer than its neighbours") for name, size in suspects]


def odd_sizes(sizes: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Chunks shorter than the size that most have, the last one left out: stations cut all but the last alike."""
    if len(sizes) < 3:
        return ()
    usual, _ = Counter(size for _, size in sizes[:-1]).most_common(1)[0]
    return tuple((name, size) for name, size in sizes[:-1] if size < usual)
