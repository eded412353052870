"""The L1B working folder: images of a datastrip in the geometry of the instrument, and what L1C must know of them.

::

    datastrip.json                  the model ``Datastrip``
    level0.xml                      the metadata of the L0 datastrip, where it had any
    sensor_model.npz                orbit, attitude, dating and viewing directions (``shared.geometry.stored``)
    relief/n44_e008.tif             heights above the ellipsoid under the datastrip, one file for each degree; or none
    image_D06_B02.tif               counts of TOA reflectance, uint16, ZSTD
    quality_D06_B02.npz             one ``Quality`` for each detector and band

Counts are reflectance x 10000 + 1000, at least 1; 0 is no data. The folder lives between two steps, so its form is free
to change with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rasterio.windows import Window

from functions.ipf.safe.quality import Quality
from shared.errors import BadInputError
from shared.geometry.heights import save_cells
from shared.geometry.stored import load_model, save_model
from shared.geometry.terrain import Terrain
from shared.msi.instrument import band_named

if TYPE_CHECKING:
    from shared.geometry.datastrip import Datastrip as SensedStrip
    from shared.geometry.heights import Relief
    from shared.geometry.instrument import Instrument
    from shared.geometry.model import SensorModel

QUANTIFICATION: Final = 10_000
OFFSET: Final = 1_000
HIGHEST_COUNT: Final = 32_767
"""Images of L1C products have 15 bits: reflectances above 3.1767 are cut."""
DATASTRIP_FILE: Final = "datastrip.json"
MODEL_FILE: Final = "sensor_model.npz"
RELIEF_FOLDER: Final = "relief"
_AROUND_DEG: Final = 0.01
LEVEL0_FILE: Final = "level0.xml"
IMAGE_BLOCK_LINES: Final = 256
"""Lines of an image's file that are compressed together."""
_LINES_DOWN: Final = rasterio.Affine(1.0, 0.0, 1.0, 0.0, -1.0, 1.0)
"""There is no georeference, but readers warn where nothing is said."""

Floats = NDArray[np.float64]
Counts = NDArray[np.uint16]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BandImage(_Model):
    """One image: all lines of one band of one detector, and the account of its packets.

    ``first_line_ns`` are the GPS nanoseconds at which line 0 begins.
    """

    detector: int = Field(ge=1, le=12)
    band: str = Field(pattern=r"^B(0[1-9]|1[0-2]|8A)$")
    lines: int = Field(gt=0)
    columns: int = Field(gt=0)
    first_line_ns: int
    packets_expected: int = Field(ge=0)
    packets_received: int = Field(ge=0)

    def line_times_ns(self, lines: Floats) -> Floats:
        """GPS nanoseconds at continuous line positions (0.5 is the middle of the first)."""
        return self.first_line_ns + lines * band_named(self.band).line_period_ns

    @property
    def stem(self) -> str:
        return f"D{self.detector:02d}_{self.band}"


class GpsRecord(_Model):
    """Position (m) and velocity (m/s), Earth-fixed."""

    gps_ns: int
    position: tuple[float, float, float]
    velocity: tuple[float, float, float]


class AttitudeRecord(_Model):
    """Unit quaternion (x, y, z, w), body to EME2000."""

    gps_ns: int
    quaternion: tuple[float, float, float, float]


class Datastrip(_Model):
    """What is known of a datastrip. Instants ending in ``_ns`` are GPS nanoseconds, the others UTC.

    ``parameters`` are names of the parameter files (GIPP) used, ``elevation`` and ``bulletin`` the names of
    elevation model and IERS bulletin.
    """

    satellite: str = Field(pattern=r"^S2[A-D]$")
    absolute_orbit: int = Field(ge=0, le=999_999)
    relative_orbit: int = Field(ge=0, le=999)
    orbit_direction: str = Field(pattern=r"^(ASCENDING|DESCENDING)$")
    datatake_type: str
    datatake_start: datetime
    sensing_start: datetime
    sensing_stop: datetime
    first_line_ns: int
    centre_ns: int
    scenes: int = Field(gt=0)
    level0_datastrip: str
    reception_station: str
    downlink_orbit: int = Field(ge=0, le=999_999)
    earth_sun_u: float = Field(gt=0.9, lt=1.1)
    ancillary_expected: int = Field(ge=0)
    ancillary_received: int = Field(ge=0)
    images: tuple[BandImage, ...]
    gps_points: tuple[GpsRecord, ...]
    attitudes: tuple[AttitudeRecord, ...]
    footprint: tuple[tuple[float, float], ...]
    simplifications: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    elevation: str = "None"
    bulletin: str = "None"

    @property
    def detectors(self) -> tuple[int, ...]:
        return tuple(sorted({image.detector for image in self.images}))

    @property
    def degraded_percent(self) -> float:
        """Share of image packets that are missing, percent."""
        expected = sum(image.packets_expected for image in self.images)
        received = sum(image.packets_received for image in self.images)
        return _lost_percent(expected, received)

    @property
    def degraded_ancillary_percent(self) -> float:
        """Share of GPS and attitude packets that are missing, percent."""
        return _lost_percent(self.ancillary_expected, self.ancillary_received)


def loss_sentences(image_percent: float, ancillary_percent: float) -> list[str]:
    """What is to be warned of, one sentence each."""
    kinds = (("image", image_percent), ("orbit and attitude", ancillary_percent))
    return [f"{percent:.3f} % of the datastrip's {kind} packets are missing" for kind, percent in kinds if percent]


def _lost_percent(expected: int, received: int) -> float:
    return 100.0 * max(expected - received, 0) / expected if expected else 0.0


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """Access to one folder."""

    root: Path

    def datastrip(self) -> Datastrip:
        """Read ``datastrip.json``; BadInputError naming the first field that is wrong."""
        path = self.root / DATASTRIP_FILE
        try:
            return Datastrip.model_validate_json(path.read_bytes())
        except OSError as error:
            raise BadInputError(str(path), "a readable file", error.strerror) from None
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInputError(f"{DATASTRIP_FILE}, {'.'.join(map(str, first['loc']))}", first["msg"]) from None

    def write_datastrip(self, datastrip: Datastrip) -> None:
        (self.root / DATASTRIP_FILE).write_text(datastrip.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def level0_metadata(self) -> bytes | None:
        """The L0 datastrip's metadata document, ``None`` where it had none."""
        path = self.root / LEVEL0_FILE
        return path.read_bytes() if path.is_file() else None

    def sensor_model(self) -> SensorModel:
        """The datastrip's sensor model; BadInputError where its file is not one. Kept by the process."""
        path = self.root / MODEL_FILE
        return _model(path, path.stat().st_mtime_ns if path.is_file() else 0)

    def write_model(self, strip: SensedStrip, instrument: Instrument) -> None:
        """What the sensor model is made from."""
        save_model(self.root / MODEL_FILE, strip, instrument)

    def relief(self) -> Relief | None:
        """The ground under the datastrip; ``None`` where it is the ellipsoid, at height 0."""
        folder = self.root / RELIEF_FOLDER
        return Terrain.from_files(folder, None) if folder.is_dir() else None

    def write_relief(self, relief: Relief, lon: Floats, lat: Floats) -> None:
        """Keep the ground under boxes of longitude and latitude, (boxes, points), and 1 km around them."""
        save_cells(relief, lon, lat, _AROUND_DEG, self.root / RELIEF_FOLDER)

    def quality(self, image: BandImage) -> Quality:
        return Quality.load(self.root / f"quality_{image.stem}.npz")

    def write_quality(self, image: BandImage, quality: Quality) -> None:
        quality.save(self.root / f"quality_{image.stem}.npz")

    def write_image(self, image: BandImage, counts: Counts) -> None:
        """Write the counts, shape (lines, columns)."""
        with rasterio.open(
            self.root / f"image_{image.stem}.tif",
            "w",
            driver="GTiff",
            width=image.columns,
            height=image.lines,
            count=1,
            dtype="uint16",
            tiled=True,
            blockxsize=512,
            blockysize=IMAGE_BLOCK_LINES,
            compress="ZSTD",
            zstd_level=1,
            predictor=2,
            transform=_LINES_DOWN,
        ) as file:
            file.write(counts, 1)

    def read_lines(self, image: BandImage, first: int, stop: int) -> Counts:
        """Lines ``first`` to ``stop`` (exclusive), all columns."""
        path = self.root / f"image_{image.stem}.tif"
        try:
            with rasterio.open(path) as file:
                if (file.height, file.width) != (image.lines, image.columns):
                    raise BadInputError(path.name, f"{image.lines} x {image.columns} pixels", (file.height, file.width))
                found: Counts = file.read(1, window=Window(0, first, image.columns, stop - first))
        except rasterio.errors.RasterioIOError as error:
            raise BadInputError(path.name, "a readable GeoTIFF", str(error)) from None
        return found


@lru_cache(maxsize=1)
def _model(path: Path, _changed_ns: int) -> SensorModel:
    return load_model(path)


def to_counts(rho: NDArray[np.floating]) -> Counts:
    """Counts of TOA reflectances, 1 to 65534; any shape."""
    counts = np.rint(np.asarray(rho, np.float32) * np.float32(QUANTIFICATION) + np.float32(OFFSET))
    return np.asarray(np.clip(counts, 1, 65_534), np.uint16)
