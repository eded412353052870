"""Image packets from a datatake folder to the granules' files, and what they tell on the way."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from functions.ipf.common.annotated import ANNOTATION_OCTETS
from functions.ipf.common.strip import StripAccount
from functions.ipf.l0c.facts import granule_name
from functions.ipf.l0c.quicklook import NAMES, Reducer
from functions.ipf.l0c.unconsolidated import find_granules, read_band
from shared.ccsds.spacepackets import OVERHEAD_OCTETS
from shared.errors import BadInputError
from shared.msi.instrument import BANDS, Band
from shared.msi.packets import IMAGE_HEADER_OCTETS

if TYPE_CHECKING:
    from pathlib import Path

    from functions.ipf.common.identity import Production
    from functions.ipf.l0c.facts import Granule
    from functions.ipf.l0c.quicklook import Counts
    from shared.msi.packets import DatatakeDescriptor

_OVERHEAD: Final = ANNOTATION_OCTETS + OVERHEAD_OCTETS + IMAGE_HEADER_OCTETS


@dataclass(slots=True)
class Images:
    """What was read and written.

    Attributes:
        blocks: written, by (detector, scene, band index).
        octets: of compressed samples, by band index.
        damaged: packets left out, by granule.
        starts_ns: see ``unconsolidated.BandPackets``, by (band name, detector).
        cells: reduced images for the quicklook, by (detector, band name).
        refused: packets that do not decode, a sentence each.
    """

    blocks: dict[tuple[int, int, int], frozenset[int]] = field(default_factory=dict)
    octets: Counter[int] = field(default_factory=Counter)
    damaged: Counter[Granule] = field(default_factory=Counter)
    starts_ns: defaultdict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    cells: dict[tuple[int, str], Counts] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ImageWriter:
    """Writes granules' bands below ``root``, packets in the order of their blocks."""

    root: Path
    descriptor: DatatakeDescriptor
    production: Production
    images: Images = field(default_factory=Images)

    def write(self, datatake: Path) -> Images:
        """All of a datatake folder; BadInputError where packets are of a detector or scene that the descriptor does not
        name.
        """
        for detector, folders in sorted(find_granules(datatake).items()):
            if detector not in self.descriptor.detectors:
                raise BadInputError(folders[0].name, f"a granule of detectors {self.descriptor.detectors}")
            for band in BANDS:
                self._band(folders, detector, band)
        return self.images

    def _band(self, folders: list[Path], detector: int, band: Band) -> None:
        small = Reducer(detector, band, self.descriptor.scenes) if band.name in NAMES else None
        for folder in folders:
            found = read_band(folder, detector, band)
            self.images.starts_ns[band.name, detector] += found.starts_ns
            scenes = sorted({scene for scene, _ in found.whole})
            if scenes and scenes[-1] > self.descriptor.scenes:
                raise BadInputError(folder.name, f"packets of scenes 1 to {self.descriptor.scenes}", scenes[-1])
            if found.damaged:
                self.images.damaged[detector, scenes[0] if scenes else 1] += found.damaged
            for scene in scenes:
                own = {block: packet for (at, block), packet in found.whole.items() if at == scene}
                self._file((detector, scene), band, own)
            if small is not None:
                small.add(found.whole)
        if small is not None:
            self.images.cells[detector, band.name] = small.cells
            self.images.refused += small.refused

    def _file(self, granule: Granule, band: Band, packets: dict[int, memoryview]) -> None:
        account = StripAccount(self.descriptor, {})
        folder = self.root / granule_name(self.production, account, granule) / "IMG_DATA"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{granule_name(self.production, account, granule, band=band.name)}.bin"
        with file.open("wb") as sink:
            sink.writelines(packets[block] for block in sorted(packets))
        self.images.blocks[*granule, band.index] = frozenset(packets)
        self.images.octets[band.index] += file.stat().st_size - len(packets) * _OVERHEAD
