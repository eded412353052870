"""The metadata of an L1C product: user product and tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.ipf.common.xml import node
from functions.ipf.safe import elements
from functions.ipf.safe.elements import utc
from shared.msi.instrument import BANDS
from shared.msi.spectra import irradiances

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping, Sequence

    from functions.ipf.safe.angles import TileAngles
    from functions.ipf.safe.footprint import Point
    from functions.ipf.safe.names import ProductNames
    from functions.ipf.safe.working import Datastrip
    from shared.msi.tiling import Tile


@dataclass(frozen=True, slots=True)
class Content:
    """Percentages that the metadata state.

    Attributes:
        degraded: image packets lost or damaged, of those of the tile's ground.
        degraded_ancillary: orbit and attitude packets missing, of the datastrip's.
        cloudy: pixels of opaque cloud or cirrus, of those that have data.
        snow: likewise.
        nodata: pixels of the reference band without data, of the tile's.
    """

    degraded: float
    degraded_ancillary: float
    cloudy: float
    snow: float
    nodata: float


def product(
    names: ProductNames, datastrip: Datastrip, footprint: Sequence[Point], content: Content, checks: Mapping[str, bool]
) -> ET.Element:
    """``MTD_MSIL1C.xml``; ``checks`` tells of each list of quality checks whether the product passed it."""
    images = [names.image(band.name) for band in BANDS] + [names.image("TCI")]
    general = node(
        "General_Info",
        elements.product_info(names, images),
        node(
            "Product_Image_Characteristics",
            *elements.special_values(),
            elements.display_order(),
            node("QUANTIFICATION_VALUE", elements.quantification(), unit="none"),
            elements.offsets("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
            elements.reflectance_conversion(datastrip.earth_sun_u, irradiances(datastrip.satellite)),
            node("Spectral_Information_List", *elements.spectral_information(datastrip.satellite)),
            *elements.physical_gains(),
            node("REFERENCE_BAND", "3"),
        ),
    )
    auxiliary = node(
        "Auxiliary_Data_Info",
        *elements.auxiliary_files(datastrip),
    )
    quality = node(
        "Quality_Indicators_Info",
        node("Cloud_Coverage_Assessment", f"{content.cloudy:.6f}"),
        node("Snow_Coverage_Assessment", f"{content.snow:.6f}"),
        elements.technical_quality(content.degraded, content.degraded_ancillary),
        elements.control_checks(checks),
    )
    return elements.root(
        "Level-1C_User_Product",
        "User_Product_Level-1C.xsd",
        general,
        elements.geometric_info(footprint),
        auxiliary,
        quality,
    )


def tile_document(names: ProductNames, tile: Tile, angles: TileAngles, content: Content) -> ET.Element:
    """``MTD_TL.xml``."""
    general = node(
        "General_Info",
        node("TILE_ID", names.granule, metadataLevel="Brief"),
        node("DATASTRIP_ID", names.datastrip, metadataLevel="Standard"),
        node("DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard"),
        node("SENSING_TIME", utc(names.acquisition.tile_sensing), metadataLevel="Standard"),
        elements.archiving(names),
    )
    geometric = node("Geometric_Info", elements.geocoding(tile), elements.tile_angles(angles))
    masks = [
        node("MASK_FILENAME", names.mask(f"{kind}_{band.name}"), type=f"MSK_{kind}", bandId=str(band.index))
        for band in BANDS
        for kind in ("DETFOO", "QUALIT")
    ]
    masks.append(node("MASK_FILENAME", names.mask("CLASSI_B00"), type="MSK_CLASSI"))
    quality = node(
        "Quality_Indicators_Info",
        node(
            "Image_Content_QI",
            node("CLOUDY_PIXEL_PERCENTAGE", f"{content.cloudy:.6f}"),
            node("DEGRADED_MSI_DATA_PERCENTAGE", f"{content.degraded:.6f}"),
            node("SNOW_PIXEL_PERCENTAGE", f"{content.snow:.6f}"),
        ),
        node("Pixel_Level_QI", *masks, geometry="FULL_RESOLUTION"),
        node("PVI_FILENAME", names.preview_name),
        metadataLevel="Standard",
    )
    return elements.root("Level-1C_Tile_ID", "S2_PDI_Level-1C_Tile_Metadata.xsd", general, geometric, quality)
