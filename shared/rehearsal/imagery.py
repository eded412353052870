"""Scenes from images that the user has: a Sentinel-2 L1C or L2A product folder (SAFE), or a GeoTIFF of all bands.

Images come from outside: XML is read without entities, network or huge trees, and only files below the given folder are
opened. Beyond its edges an image is mirrored; places without data are black.
"""

from __future__ import annotations

import math
import re
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np
import rasterio
from lxml import etree
from pyproj import CRS, Transformer
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window

from shared.errors import BadInputError
from shared.msi.instrument import BANDS, Band
from shared.rehearsal.scene import BandRaster, in_zone

if TYPE_CHECKING:
    from shared.geometry.heights import Relief
    from shared.rehearsal.scene import Floats, Floats32

Kind = Literal["surface", "toa"]

QUANTIFICATION: Final = 10_000
CIRRUS_REFLECTANCE: Final = 0.002
"""What B10 is given where the image has none, as no L2A product has."""

_AROUND_M: Final = 2_000.0
_BAND_FILE: Final = re.compile(r".*_(B\d[\dA])(?:_([126]0)m)?\.jp2", re.ASCII)
_BAND_NAME: Final = re.compile(r"B0?(\d[\dA]?)", re.ASCII)


class ImageScene:
    """A scene sampled from rasters on disk, each band's read when first asked for.

    Args:
        sources: for each band its file, its band number in it, and the offset added to counts; bands may be absent.
        kind: of the reflectances in them.
        origin: the path that ``describe`` names.
        bounds: left, bottom, right, top in metres of the image's zone, where only that part will be asked for.
        relief: where the ground is that the image shows.
    """

    def __init__(
        self,
        sources: dict[str, tuple[Path, int, int]],
        kind: Kind,
        origin: Path,
        bounds: tuple[float, float, float, float] | None = None,
        relief: Relief | None = None,
    ) -> None:
        missing = [band.name for band in BANDS if band.name not in sources and band.name != "B10"]
        if missing:
            raise BadInputError(f"scene {origin.name}", "an image of every band but B10", f"none of {missing}")
        self._sources: Final = sources
        self.kind: Final[Kind] = kind
        self._origin: Final = origin
        self._bounds: Final = bounds
        self.relief: Final = relief
        self._lock = threading.Lock()
        self._rasters: dict[str, BandRaster] = {}
        with _opened(sources["B02"][0]) as image:
            self.epsg: Final[int] = _utm_zone(image, origin)
            self._middle: Final = image.xy(image.height / 2 - 0.5, image.width / 2 - 0.5)

    def reflectance(self, band: Band, epsg: int, x: Floats, y: Floats) -> Floats32:
        """See ``Scene.reflectance``."""
        if band.name not in self._sources:
            return np.full(x.shape, CIRRUS_REFLECTANCE, np.float32)
        return self.raster(band).sample(*in_zone(x, y, epsg, self.epsg))

    def centre(self) -> tuple[float, float] | None:
        """Longitude and latitude of the image's middle."""
        lon, lat = Transformer.from_crs(self.epsg, 4326, always_xy=True).transform(*self._middle)
        return float(lon), float(lat)

    def near(self, epsg: int, x: Floats, y: Floats) -> ImageScene:
        """The same scene for places within the outline of ``x`` and ``y`` and 2 km around it: reads that alone."""
        east, north = in_zone(x, y, epsg, self.epsg)
        low, high = (east.min() - _AROUND_M, north.min() - _AROUND_M), (east.max() + _AROUND_M, north.max() + _AROUND_M)
        return ImageScene(self._sources, self.kind, self._origin, (*low, *high), self.relief)

    def describe(self) -> dict[str, Any]:
        """The image's path and kind."""
        return {"type": "image", "path": str(self._origin), "kind": self.kind}

    def raster(self, band: Band) -> BandRaster:
        """The band's raster, at its own resolution where the image is finer."""
        with self._lock:
            if band.name not in self._rasters:
                self._rasters[band.name] = self._read(band)
            return self._rasters[band.name]

    def _read(self, band: Band) -> BandRaster:
        path, number, offset = self._sources[band.name]
        with _opened(path) as image:
            if _utm_zone(image, path) != self.epsg:
                raise BadInputError(f"scene, {path.name}", f"the zone EPSG:{self.epsg} of B02", image.crs.to_string())
            pixel = image.transform.a
            shrink = band.resolution // round(pixel) if pixel < band.resolution else 1
            window = _window(image, self._bounds, shrink)
            values = image.read(number, window=window)
            left = image.transform.c + window.col_off * pixel
            top = image.transform.f - window.row_off * pixel
        if shrink > 1:
            rows, columns = (size // shrink for size in values.shape)
            whole = np.ascontiguousarray(values[: rows * shrink, : columns * shrink], dtype=np.float32)
            values = np.rint(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA))
        counts = np.clip(values, max(-offset, 0), np.iinfo(np.uint16).max).astype(np.uint16)
        return BandRaster(
            np.ascontiguousarray(counts),
            left,
            top,
            pixel * shrink,
            1 / QUANTIFICATION,
            offset / QUANTIFICATION,
            mirrored=True,
        )


def open_scene(
    path: Path, *, kind: Kind | None = None, offset: int | None = None, relief: Relief | None = None
) -> ImageScene:
    """The scene of a SAFE folder or a GeoTIFF.

    Args:
        path: the folder, or the file. A GeoTIFF has 13 bands (L1C) or 12 (L2A: without B10) in the order of BANDS, or
            bands whose descriptions name them; counts are reflectance x 10000 plus an offset.
        kind: of a GeoTIFF's reflectances; by default "toa" where it has B10, "surface" where it has not.
        offset: added to a GeoTIFF's counts; by default its tag ``offset``, or 0.
        relief: where the ground is that the image shows, as ``Terrain.from_files`` gives it; the ellipsoid at height 0
            where it is not given.

    Raises:
        BadInputError: where it is neither, has no UTM zone, or lacks bands.
    """
    if path.is_dir():
        return _from_safe(path, relief)
    return _from_geotiff(path, kind, offset, relief)


def _from_safe(folder: Path, relief: Relief | None) -> ImageScene:
    levels: dict[str, Kind] = {"MTD_MSIL1C.xml": "toa", "MTD_MSIL2A.xml": "surface"}
    name = next((name for name in levels if (folder / name).is_file()), None)
    if name is None:
        raise BadInputError(f"scene {folder.name}", "a folder with MTD_MSIL1C.xml or MTD_MSIL2A.xml")
    offsets = _offsets(folder / name)
    finest: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.glob("GRANULE/*/IMG_DATA/**/*.jp2")):
        match = _BAND_FILE.fullmatch(path.name)
        if match is None or not path.resolve().is_relative_to(folder.resolve()):
            continue
        resolution = int(match[2] or 0)
        if match[1] not in finest or resolution < finest[match[1]][0]:
            finest[match[1]] = (resolution, path)
    known = {band.name: band.index for band in BANDS}
    sources = {band: (path, 1, offsets.get(known[band], 0)) for band, (_, path) in finest.items() if band in known}
    if "B8A" in sources:
        sources.setdefault("B08", sources["B8A"])  # L2A has no B08 at 20 and 60 m; its neighbour within it stands in
    return ImageScene(sources, levels[name], folder, relief=relief)


def _offsets(metadata: Path) -> dict[int, int]:
    """The offsets that a product's metadata gives to each band (processing baselines from 04.00), by band id."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        root = etree.parse(str(metadata), parser).getroot()
        found = [*root.iter("RADIO_ADD_OFFSET"), *root.iter("BOA_ADD_OFFSET")]
        return {int(entry.attrib["band_id"]): int(entry.text or "") for entry in found}
    except (etree.XMLSyntaxError, KeyError, ValueError, OSError) as error:
        raise BadInputError(f"scene, {metadata.name}", "product metadata", str(error)) from None


def _from_geotiff(path: Path, kind: Kind | None, offset: int | None, relief: Relief | None) -> ImageScene:
    with _opened(path) as image:
        numbers = _band_numbers(image.descriptions, path)
        added = offset if offset is not None else _number(image.tags().get("offset", "0"), path)
    sources = {name: (path, number, added) for name, number in numbers.items()}
    return ImageScene(sources, kind or ("toa" if "B10" in numbers else "surface"), path, relief=relief)


def _number(text: str, path: Path) -> int:
    try:
        return round(float(text))
    except (ValueError, OverflowError):
        raise BadInputError(f"scene {path.name}, tag offset", "a number", text) from None


def _band_numbers(descriptions: tuple[str | None, ...], path: Path) -> dict[str, int]:
    """Which band of a file shows which band of the instrument."""
    names = [band.name for band in BANDS]
    described: dict[str, int] = {}
    for number, text in enumerate(descriptions, 1):
        match = _BAND_NAME.fullmatch((text or "").strip())
        if match is not None:
            described["B" + match[1].zfill(2)] = number
    if described:
        return {name: number for name, number in described.items() if name in names}
    if len(descriptions) == len(names):
        return {name: number for number, name in enumerate(names, 1)}
    if len(descriptions) == len(names) - 1:
        return {name: number for number, name in enumerate((n for n in names if n != "B10"), 1)}
    raise BadInputError(f"scene {path.name}", "13 bands, 12 bands, or bands with their names", len(descriptions))


def _opened(path: Path) -> rasterio.DatasetReader:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # _utm_zone refuses it, with a reason
            return rasterio.open(path)
    except RasterioIOError as error:
        raise BadInputError(f"scene, {path.name}", "an image that GDAL reads", str(error)) from None


def _window(image: rasterio.DatasetReader, bounds: tuple[float, float, float, float] | None, step: int) -> Window:
    """The part of an image within bounds, on whole steps of pixels; all of it where the bounds reach beyond.

    Beyond its edges an image is mirrored, and mirrored at the edges of a part it would be another.
    """
    whole = Window(0, 0, image.width, image.height)
    if bounds is None:
        return whole
    pixel = image.transform.a
    first = math.floor((bounds[0] - image.transform.c) / pixel), math.floor((image.transform.f - bounds[3]) / pixel)
    last = math.ceil((bounds[2] - image.transform.c) / pixel), math.ceil((image.transform.f - bounds[1]) / pixel)
    column, row = (value // step * step for value in first)
    columns, rows = (-(-(end - begin) // step) * step for begin, end in zip((column, row), last, strict=True))
    inside = min(column, row) >= 0 and column + columns <= image.width and row + rows <= image.height
    return Window(column, row, columns, rows) if inside else whole


def _utm_zone(image: rasterio.DatasetReader, path: Path) -> int:
    """EPSG code of an image's UTM zone; square pixels, north up, or BadInputError."""
    code = None if image.crs is None else CRS.from_user_input(image.crs.to_wkt()).to_epsg()
    step = image.transform
    if code is None or code // 100 not in (326, 327) or step.b or step.d or abs(step.a + step.e) > 1e-6 * abs(step.a):
        raise BadInputError(f"scene {path.name}", "square pixels, north up, in a UTM zone (WGS 84)", str(image.crs))
    return int(code)
