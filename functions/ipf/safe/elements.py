"""Elements that the metadata of L1C and L2A products share. Tags and order are those of PSD 14."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common.xml import node
from functions.ipf.safe.angles import STEP_M, Angles, TileAngles
from functions.ipf.safe.footprint import position_list
from functions.ipf.safe.working import OFFSET, QUANTIFICATION
from shared.msi.instrument import BANDS
from shared.msi.spectra import spectra

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from functions.ipf.safe.footprint import Point
    from functions.ipf.safe.names import ProductNames
    from functions.ipf.safe.working import Datastrip
    from shared.msi.instrument import Band
    from shared.msi.spectra import Spectrum
    from shared.msi.tiling import Tile

PSD: Final = "https://psd-14.sentinel2.eo.esa.int/PSD"
NOT_APPLICABLE: Final = "Not applicable"
_NOTHING_KNOWN: Final[Mapping[str, float]] = MappingProxyType({})


def root(tag: str, schema: str, *parts: ET.Element) -> ET.Element:
    """A document's root in the namespace of its PSD schema; the parts directly below it take the prefix too."""
    namespace = f"{PSD}/{schema}"
    for part in parts:
        part.tag = f"n1:{part.tag}"
    return node(
        f"n1:{tag}",
        *parts,
        **{
            "xmlns:n1": namespace,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": f"{namespace} {schema}",
        },
    )


def utc(when: datetime) -> str:
    """Milliseconds, as product times have it."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def datatake(names: ProductNames) -> tuple[ET.Element, ...]:
    """The children of Datatake and Datatake_Info."""
    taken = names.acquisition
    return (
        node("SPACECRAFT_NAME", f"Sentinel-{taken.satellite[1:]}"),
        node("DATATAKE_TYPE", taken.datatake_type),
        node("DATATAKE_SENSING_START", utc(taken.datatake_start)),
        node("SENSING_ORBIT_NUMBER", str(taken.relative_orbit)),
        node("SENSING_ORBIT_DIRECTION", taken.orbit_direction),
    )


def product_info(names: ProductNames, images: Sequence[str]) -> ET.Element:
    """``Product_Info``: what the product is and which image files it has (paths within it, without suffix)."""
    created = utc(names.production.creation)
    granule = node(
        "Granule",
        *(node("IMAGE_FILE", image.removesuffix(".jp2")) for image in images),
        datastripIdentifier=names.datastrip,
        granuleIdentifier=names.granule,
        imageFormat="JPEG2000",
    )
    return node(
        "Product_Info",
        node("PRODUCT_START_TIME", utc(names.acquisition.datatake_start)),
        node("PRODUCT_STOP_TIME", utc(names.acquisition.datatake_start)),
        node("PRODUCT_URI", names.safe),
        node("PROCESSING_LEVEL", f"Level-{names.level[1:]}"),
        node("PRODUCT_TYPE", f"S2MSI{names.level[1:]}"),
        node("PROCESSING_BASELINE", names.production.baseline),
        node("PRODUCT_DOI", NOT_APPLICABLE),
        node("GENERATION_TIME", created),
        node("PREVIEW_IMAGE_URL", NOT_APPLICABLE),
        node("PREVIEW_GEO_INFO", NOT_APPLICABLE),
        node("Datatake", *datatake(names), datatakeIdentifier=names.datatake),
        node("Query_Options", node("PRODUCT_FORMAT", "SAFE_COMPACT"), completeSingleTile="true"),
        node("Product_Organisation", node("Granule_List", granule)),
    )


def special_values() -> list[ET.Element]:
    """No data is 0, saturated 65535."""
    return [
        node("Special_Values", node("SPECIAL_VALUE_TEXT", text), node("SPECIAL_VALUE_INDEX", str(value)))
        for text, value in (("NODATA", 0), ("SATURATED", 65535))
    ]


def display_order() -> ET.Element:
    """Natural colours: B04, B03, B02."""
    return node("Image_Display_Order", node("RED_CHANNEL", "3"), node("GREEN_CHANNEL", "2"), node("BLUE_CHANNEL", "1"))


def offsets(list_tag: str, tag: str) -> ET.Element:
    """The offset of every band's counts, to be added before division by the quantification value."""
    return node(list_tag, *(node(tag, str(-OFFSET), band_id=str(band.index)) for band in BANDS))


def reflectance_conversion(earth_sun_u: float, own: Mapping[str, float] = _NOTHING_KNOWN) -> ET.Element:
    """Earth-Sun correction and solar irradiances; ``own`` by band name, of a satellite whose values are known."""
    irradiances = (
        node(
            "SOLAR_IRRADIANCE",
            f"{own.get(band.name, band.solar_irradiance):.2f}",
            bandId=str(band.index),
            unit="W/m²/µm",
        )
        for band in BANDS
    )
    return node("Reflectance_Conversion", node("U", earth_sun_u), node("Solar_Irradiance_List", *irradiances))


def physical_gains(own: Mapping[str, float] = _NOTHING_KNOWN) -> list[ET.Element]:
    """Counts per radiance of each band; ``own`` as above."""
    return [
        node("PHYSICAL_GAINS", f"{own.get(band.name, band.physical_gain):.8f}", bandId=str(band.index))
        for band in BANDS
    ]


def quantification() -> str:
    """The quantification value as text."""
    return str(QUANTIFICATION)


def geometric_info(footprint: Sequence[Point]) -> ET.Element:
    """``Geometric_Info`` of a user product."""
    outline = node("Product_Footprint", node("Global_Footprint", node("EXT_POS_LIST", position_list(footprint))))
    return node(
        "Geometric_Info",
        node("Product_Footprint", outline, node("RASTER_CS_TYPE", "POINT"), node("PIXEL_ORIGIN", "1")),
        node(
            "Coordinate_Reference_System",
            node("GEO_TABLES", "EPSG", version="1"),
            node("HORIZONTAL_CS_TYPE", "GEOGRAPHIC"),
        ),
    )


def geocoding(tile: Tile) -> ET.Element:
    """``Tile_Geocoding``."""
    zone, side = tile.epsg % 100, "S" if tile.epsg > 32700 else "N"
    sizes = (
        node("Size", node("NROWS", str(tile.size(r))), node("NCOLS", str(tile.size(r))), resolution=str(r))
        for r in (10, 20, 60)
    )
    positions = (
        node(
            "Geoposition",
            node("ULX", str(tile.ulx)),
            node("ULY", str(tile.uly)),
            node("XDIM", str(r)),
            node("YDIM", str(-r)),
            resolution=str(r),
        )
        for r in (10, 20, 60)
    )
    return node(
        "Tile_Geocoding",
        node("HORIZONTAL_CS_NAME", f"WGS84 / UTM zone {zone}{side}"),
        node("HORIZONTAL_CS_CODE", f"EPSG:{tile.epsg}"),
        *sizes,
        *positions,
        metadataLevel="Brief",
    )


def tile_angles(angles: TileAngles) -> ET.Element:
    """``Tile_Angles``: grids of 23 x 23 nodes, 5 km apart; detectors without a node in the tile are left out."""
    grids = [
        node("Viewing_Incidence_Angles_Grids", *_grids(view), bandId=str(band), detectorId=str(detector))
        for (band, detector), view in sorted(angles.views.items())
        if view.defined
    ]
    means = [
        node("Mean_Viewing_Incidence_Angle", *_pair(*mean), bandId=str(band.index))
        for band in BANDS
        if (mean := angles.mean_view(band.index)) is not None
    ]
    return node(
        "Tile_Angles",
        node("Sun_Angles_Grid", *_grids(angles.sun)),
        node("Mean_Sun_Angle", *_pair(*angles.sun.mean())),
        *grids,
        node("Mean_Viewing_Incidence_Angle_List", *means),
        metadataLevel="Standard",
    )


def _grids(angles: Angles) -> tuple[ET.Element, ET.Element]:
    return _grid("Zenith", angles.zenith), _grid("Azimuth", angles.azimuth)


def _grid(tag: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> ET.Element:
    rows = (node("VALUES", " ".join("NaN" if np.isnan(v) else f"{v:.6g}" for v in row)) for row in values)
    return node(
        tag,
        node("COL_STEP", str(STEP_M), unit="m"),
        node("ROW_STEP", str(STEP_M), unit="m"),
        node("Values_List", *rows),
    )


def _pair(zenith: float, azimuth: float) -> tuple[ET.Element, ET.Element]:
    return (
        node("ZENITH_ANGLE", f"{zenith:.9f}", unit="deg"),
        node("AZIMUTH_ANGLE", f"{azimuth:.9f}", unit="deg"),
    )


def archiving(names: ProductNames) -> ET.Element:
    """``Archiving_Info``: centre and time of production, for there is no later archiving."""
    return node(
        "Archiving_Info",
        node("ARCHIVING_CENTRE", names.production.centre),
        node("ARCHIVING_TIME", utc(names.production.creation)),
        metadataLevel="Expertise",
    )


def notes(processor: str, version: str, simplifications: Sequence[str], source: str) -> ET.Element:
    """``PROCESSING_NOTES.xml``: which program made the product, and what it left out."""
    return node(
        "Processing_Notes",
        node("Processor", processor, version=version),
        node("Source", source),
        node("Simplification_List", *(node("Simplification", text) for text in simplifications)),
    )


def technical_quality(image_percent: float, ancillary_percent: float) -> ET.Element:
    """``Technical_Quality_Assessment``: image and ancillary data that are missing."""
    return node(
        "Technical_Quality_Assessment",
        node("DEGRADED_ANC_DATA_PERCENTAGE", f"{ancillary_percent:.6f}"),
        node("DEGRADED_MSI_DATA_PERCENTAGE", f"{image_percent:.6f}"),
    )


def no_control_checks() -> ET.Element:
    """``Quality_Control_Checks`` of a product that no quality control has inspected."""
    return node("Quality_Control_Checks", node("Quality_Inspections"), node("Failed_Inspections"))


def control_checks(lists: Mapping[str, bool]) -> ET.Element:
    """``Quality_Control_Checks``: each list of checks by name, and whether all its checks were passed."""
    inspections = [
        node("quality_check", "PASSED" if passed else "FAILED", checkType=name) for name, passed in lists.items()
    ]
    return node("Quality_Control_Checks", node("Quality_Inspections", *inspections), node("Failed_Inspections"))


def auxiliary_files(datastrip: Datastrip) -> list[ET.Element]:
    """From ``GIPP_List`` to ``GRI_List``: the files that were used, by name."""
    files = (node("GIPP_FILENAME", name, type=name[9:19], version="0001") for name in datastrip.parameters)
    return [
        node("GIPP_List", *files),
        node("PRODUCTION_DEM_TYPE", datastrip.elevation),
        node("IERS_BULLETIN_FILENAME", datastrip.bulletin),
        node("GRI_List"),
    ]


def spectral_information(satellite: str) -> list[ET.Element]:
    """``Spectral_Information`` of every band of a satellite."""
    known = spectra(satellite)
    return [_spectral(band, known[band.name]) for band in BANDS]


def _spectral(band: Band, own: Spectrum) -> ET.Element:
    return node(
        "Spectral_Information",
        node("RESOLUTION", str(band.resolution)),
        node(
            "Wavelength",
            node("MIN", str(own.first_nm), unit="nm"),
            node("MAX", str(own.last_nm), unit="nm"),
            node("CENTRAL", str(own.centre_nm), unit="nm"),
        ),
        node(
            "Spectral_Response",
            node("STEP", "1", unit="nm"),
            node("VALUES", " ".join(f"{value:g}" for value in own.response)),
        ),
        bandId=str(band.index),
        physicalBand=band.name.replace("B0", "B"),
    )
