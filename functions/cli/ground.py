"""The ground of a demonstration: mountains of the landscape, or an image's elevations; and how L1B comes to know it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from shared.rehearsal.scene import Scene


@dataclass(frozen=True, slots=True)
class Elevations:
    """What is flown over, and where its ground is.

    Attributes:
        image: the user's, if there is one.
        relief_m: height of the bundled landscape's mountains, metres.
        dem: elevation tiles of the image.
        geoid: from which these count.
    """

    image: Path | None = None
    relief_m: float = 0.0
    dem: Path | None = None
    geoid: Path | None = None

    def scene(self, position: tuple[float, float], seed: int) -> Scene:
        """The image, or the landscape around a longitude and latitude."""
        from shared.geometry.terrain import Terrain
        from shared.rehearsal.scenes import scene_for

        terrain = Terrain.from_files(self.dem, self.geoid) if self.image is not None and self.dem is not None else None
        return scene_for(self.image, position, seed=seed, relief_m=self.relief_m, relief=terrain)

    def environment(self, folder: Path) -> dict[str, str]:
        """What tells L1B the elevations: the open processors with its parameters, as a set of their own in ``folder``.

        The landscape's elevations are written by the simulator beside the recording.
        """
        dem = self.dem if self.image is not None else folder / "recording.dem" if self.relief_m else None
        if dem is None:
            return {}
        document = yaml.safe_load((files("shared.workflow") / "processors" / "open.yaml").read_text(encoding="utf-8"))
        parameters = {"DEM_PATH": str(dem.resolve())}
        if self.image is not None and self.geoid is not None:
            parameters["GEOID_PATH"] = str(self.geoid.resolve())
        document["processors"]["l1b"]["parameters"] = parameters
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "processors.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return {"S2PS_PROCESSOR_SET": str(path.resolve())}
