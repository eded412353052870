"""How long Jobs take in a rehearsal: distributions, printed with every result.

The run times of the licensed processors are not public. What stands here is drawn from the few production times that
are (ground segment figures of 2010 scaled to today's cores, single products followed by their stamps), and is meant to
be replaced by what an operator's own ledger has seen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Duration:
    """Log-normal: ``base_s`` and ``scene_s`` for each scene are the median, ``p95`` how many medians the 95th
    percentile is.
    """

    base_s: float
    scene_s: float = 0.0
    p95: float = 1.5

    def median_s(self, scenes: int) -> float:
        return self.base_s + self.scene_s * scenes

    def draw(self, scenes: int, dice: random.Random) -> float:
        """Seconds of one run on a unit of so many scenes."""
        return self.median_s(scenes) * math.exp(math.log(self.p95) / 1.645 * dice.gauss())

    def __str__(self) -> str:
        scenes = f" + {self.scene_s:g} s a scene" if self.scene_s else ""
        return f"{self.base_s:g} s{scenes}, 95 % within {self.p95:g} times that"


NOMINAL: Final[Mapping[str, Duration]] = {
    "l0u": Duration(60, 1.0),
    "l0c": Duration(90, 1.2),
    "l1a": Duration(120, 18.0),
    "l1b": Duration(120, 14.0),
    "l1a-format": Duration(120, 8.0),
    "l1b-format": Duration(120, 8.0),
    "l1c-ds": Duration(60),
    "l1c": Duration(360, p95=1.6),
    "l2a-ds": Duration(60),
    "l2a": Duration(600, p95=1.7),
}
"""By step. ``l1a`` and ``l1b`` grow with the datastrip: 35 core-hours for 133 scenes on the cores of 2010."""

ELSE: Final = Duration(300)


def told(durations: Mapping[str, Duration]) -> list[str]:
    """A line for each step."""
    return [f"{step}: {duration}" for step, duration in durations.items()]
