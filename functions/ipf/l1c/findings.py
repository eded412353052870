"""What several inspections find in the same way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from functions.ipf.common.olqc import Check
from shared.xmltree import Limits

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping
    from pathlib import Path

    from functions.ipf.l1c.bands import BandResult

LIMITS: Final = Limits(size=64 * 1024 * 1024, elements=3_000_000, text=4 * 1024 * 1024)
"""For metadata: a long datastrip's holds some megabytes of orbit and attitude."""


def unreadable(path: Path, error: Exception) -> Check:
    """The metadata file is not there, or is no XML."""
    return Check("checkMetadata", "The metadata file can be read.", passed=False, message=str(error), item=path.name)


def readable(path: Path) -> Check:
    """The metadata file has been read."""
    return Check(
        "checkMetadata", "The metadata file can be read.", passed=True, message="Read, as hostile.", item=path.name
    )


def number(document: ET.Element, path: str) -> float:
    """The number at a path, NaN where there is none: any check against it fails."""
    try:
        return float(document.findtext(path) or "nan")
    except ValueError:
        return math.nan


def within(document: ET.Element, identity: str, path: str, low: float, high: float, *, optional: bool = False) -> Check:
    """A number of the metadata lies between two bounds; ``optional`` ones may be absent."""
    value = number(document, f".//{path}")
    absent = optional and document.find(f".//{path}") is None
    return Check(
        identity,
        f"{path} is within bounds.",
        passed=absent or low <= value <= high,
        message=f"{path} is not stated." if absent else f"{path} is {value:g}; expected {low:g} to {high:g}.",
        values={} if absent else {"VALUE": f"{value:g}", "EXPECTED": f"{low:g} {high:g}"},
    )


def flagged(
    identity: str, about: str, results: Mapping[str, BandResult], bits: tuple[int, ...], *, share: float = 0.0
) -> Check:
    """Bands in which more than a share of the pixels inside the swath have one of the flags."""
    counts = {name: sum(result.flagged[bit] for bit in bits) for name, result in results.items()}
    over = [name for name, count in counts.items() if count > share * results[name].seen]
    message = f"{sum(counts.values())} pixels" + (f", in {', '.join(sorted(over))} too many." if over else ".")
    values = {name: count for name, count in sorted(counts.items()) if count}
    return Check(identity, about, passed=not over, message=message, values=values)
