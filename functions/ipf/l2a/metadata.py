"""The metadata of an L2A product: user product and tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from functions.ipf.common.xml import node
from functions.ipf.l2a.classification import CLOUDS, SceneClass
from functions.ipf.l2a.images import resolutions
from functions.ipf.safe import elements
from functions.ipf.safe.elements import utc
from shared.msi.atmosphere_table import TABLE
from shared.msi.instrument import BANDS

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping, Sequence

    from functions.ipf.l2a.images import Bench
    from functions.ipf.l2a.inference import Found
    from functions.ipf.l2a.scene import Scene
    from functions.ipf.l2a.source import Level1C
    from functions.ipf.safe.names import ProductNames

_SHARES = (
    ("SATURATED_DEFECTIVE_PIXEL_PERCENTAGE", SceneClass.SATURATED_DEFECTIVE),
    ("DARK_FEATURES_PERCENTAGE", SceneClass.DARK_FEATURE_SHADOW),
    ("CLOUD_SHADOW_PERCENTAGE", SceneClass.CLOUD_SHADOW),
    ("VEGETATION_PERCENTAGE", SceneClass.VEGETATION),
    ("NOT_VEGETATED_PERCENTAGE", SceneClass.NOT_VEGETATED),
    ("WATER_PERCENTAGE", SceneClass.WATER),
    ("UNCLASSIFIED_PERCENTAGE", SceneClass.UNCLASSIFIED),
    ("MEDIUM_PROBA_CLOUDS_PERCENTAGE", SceneClass.CLOUD_MEDIUM_PROBA),
    ("HIGH_PROBA_CLOUDS_PERCENTAGE", SceneClass.CLOUD_HIGH_PROBA),
    ("THIN_CIRRUS_PERCENTAGE", SceneClass.THIN_CIRRUS),
    ("SNOW_ICE_PERCENTAGE", SceneClass.SNOW_ICE),
)
# The schema knows three ways of finding the aerosol; dark vegetation is called after the program that first had it, and
# the climatology is what is taken by default. The list of simplifications says which it was.
_AOT_METHODS = {"DDV": "SEN2COR_DDV", "CAMS": "CAMS", "CLIMATOLOGY": "DEFAULT"}
_BAND_IDS = {band.name: str(band.index) for band in BANDS}
PROBABILITIES = (("CLDPRB", 20), ("SNWPRB", 20), ("CLDPRB", 60), ("SNWPRB", 60))


@dataclass(frozen=True, slots=True)
class Content:
    """What the images hold: pixels of each class at 20 m, of how many; means of aerosol and water vapour; by band the
    percentage of pixels whose surface reflectance is below 0.
    """

    classes: Mapping[SceneClass, int]
    pixels: int
    aot: float
    aot_method: str
    water_cm: float
    ozone_source: str
    ozone_du: float
    degraded: float
    degraded_ancillary: float
    negative: Mapping[str, float]

    @property
    def valid(self) -> int:
        return max(sum(n for kind, n in self.classes.items() if kind is not SceneClass.NODATA), 1)

    def share(self, kind: SceneClass) -> float:
        """Percent of the pixels that have data."""
        return 100.0 * self.classes.get(kind, 0) / self.valid

    @property
    def cloudy(self) -> float:
        return sum(self.share(kind) for kind in CLOUDS)

    @property
    def cloudy_over_land(self) -> float:
        land = self.valid - self.classes.get(SceneClass.WATER, 0)
        return 100.0 * sum(self.classes.get(kind, 0) for kind in CLOUDS) / max(land, 1)

    @property
    def nodata(self) -> float:
        """Percent of the tile without data."""
        return 100.0 * self.classes.get(SceneClass.NODATA, 0) / self.pixels


def image_paths(names: ProductNames) -> list[str]:
    """Every image of the product, 10 m first."""
    extra = {10: ("TCI", "AOT", "WVP"), 20: ("TCI", "AOT", "WVP", "SCL"), 60: ("TCI", "AOT", "WVP", "SCL")}
    return [
        names.image(what, resolution)
        for resolution in (10, 20, 60)
        for what in (*(band.name for band in BANDS if resolution in resolutions(band.name)), *extra[resolution])
    ]


def count(bench: Bench, source: Level1C, scene: Scene, found: Found, negative: Mapping[str, float]) -> Content:
    """What is in the images of the scratch folder; all beyond the block is no data."""
    classes = bench.load("classes")
    size = source.tile.size(20)
    counted = np.bincount(classes.ravel(), minlength=len(SceneClass))
    counts = {kind: int(counted[kind]) for kind in SceneClass}
    counts[SceneClass.NODATA] += size * size - classes.size
    return Content(
        classes=counts,
        pixels=size * size,
        aot=found.aerosol.aot550,
        aot_method=found.aerosol.method,
        water_cm=found.water_cm,
        ozone_source=scene.ozone_source,
        ozone_du=scene.ozone * 1000,
        degraded=source.degraded_percent,
        degraded_ancillary=source.degraded_ancillary_percent,
        negative=negative,
    )


def product(
    names: ProductNames, source: Level1C, scene: Scene, content: Content, checks: Mapping[str, bool]
) -> ET.Element:
    """``MTD_MSIL2A.xml``; ``checks`` tells by list of checks whether all were passed."""
    classes = (
        node(
            "Scene_Classification_ID",
            node("SCENE_CLASSIFICATION_TEXT", f"SC_{kind.name}"),
            node("SCENE_CLASSIFICATION_INDEX", str(int(kind))),
        )
        for kind in SceneClass
    )
    general = node(
        "General_Info",
        elements.product_info(names, image_paths(names)),
        node(
            "Product_Image_Characteristics",
            *elements.special_values(),
            elements.display_order(),
            *scaling(),
            elements.reflectance_conversion(source.earth_sun_u, source.irradiances),
            *_stated(source, "Spectral_Information_List"),
            *elements.physical_gains(source.gains),
            node("REFERENCE_BAND", "3"),
            node("Scene_Classification_List", *classes),
        ),
    )
    auxiliary = node(
        "Auxiliary_Data_Info",
        *(_stated(source, "GIPP_List") or [node("GIPP_List")]),
        node("PRODUCTION_DEM_TYPE", ", ".join(scene.terrain_files) or "None"),
        *(_stated(source, "IERS_BULLETIN_FILENAME") or [node("IERS_BULLETIN_FILENAME", "None")]),
        *(_stated(source, "GRI_List") or [node("GRI_List")]),
        *_stated(source, "ECMWF_DATA_REF"),
        *_stated(source, "CAMS_DATA_REF"),
        *tables_used(),
    )
    quality = node(
        "Quality_Indicators_Info",
        node("Cloud_Coverage_Assessment", f"{content.cloudy:.6f}"),
        elements.technical_quality(content.degraded, content.degraded_ancillary),
        elements.control_checks(checks),
        node(
            "Image_Content_QI",
            node("CLOUDY_PIXEL_OVER_LAND_PERCENTAGE", f"{content.cloudy_over_land:.6f}"),
            *content_elements(content),
        ),
    )
    footprint = elements.geometric_info(source.footprint)
    return elements.root("Level-2A_User_Product", "User_Product_Level-2A.xsd", general, footprint, auxiliary, quality)


def _stated(source: Level1C, tag: str) -> list[ET.Element]:
    """The L1C product's own element, where it has one."""
    return [source.stated[tag]] if tag in source.stated else []


def scaling() -> list[ET.Element]:
    """Quantification and offsets of the images."""
    return [
        node(
            "QUANTIFICATION_VALUES_LIST",
            node("BOA_QUANTIFICATION_VALUE", elements.quantification(), unit="none"),
            node("AOT_QUANTIFICATION_VALUE", "1000.0", unit="none"),
            node("WVP_QUANTIFICATION_VALUE", "1000.0", unit="cm"),
        ),
        elements.offsets("BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"),
    ]


def tables_used() -> list[ET.Element]:
    """The atmospheric table; climatologies and land cover are none."""
    absent = ("SNOW_CLIMATOLOGY_MAP", "ESACCI_WaterBodies_Map", "ESACCI_LandCover_Map", "ESACCI_SnowCondition_Map_Dir")
    return [node("LUT_List", node("LUT_FILENAME", TABLE)), *(node(tag, "None") for tag in absent)]


def content_elements(content: Content) -> list[ET.Element]:
    """From no data to ozone, as both documents have it. Accuracies are 0 where none is estimated."""
    return [
        node("NODATA_PIXEL_PERCENTAGE", f"{content.nodata:.6f}"),
        *(node(tag, f"{content.share(kind):.6f}") for tag, kind in _SHARES),
        node("RADIATIVE_TRANSFER_ACCURACY", "0.0"),
        node("WATER_VAPOUR_RETRIEVAL_ACCURACY", "0.0"),
        node("AOT_RETRIEVAL_ACCURACY", "0.0"),
        node("AOT_RETRIEVAL_METHOD", _AOT_METHODS[content.aot_method]),
        node("GRANULE_MEAN_AOT", f"{content.aot:.6f}"),
        node("GRANULE_MEAN_WV", f"{content.water_cm:.6f}"),
        node("OZONE_SOURCE", content.ozone_source),
        node("OZONE_VALUE", f"{content.ozone_du:.6f}"),
    ]


def tile_document(names: ProductNames, source: Level1C, content: Content, carried: Sequence[str]) -> ET.Element:
    """``MTD_TL.xml``; ``carried`` are the names of the masks that come from the L1C product."""
    general = node(
        "General_Info",
        node("L1C_TILE_ID", source.granule, metadataLevel="Brief"),
        node("TILE_ID", names.granule, metadataLevel="Brief"),
        node("DATASTRIP_ID", names.datastrip, metadataLevel="Standard"),
        node("DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard"),
        node("SENSING_TIME", utc(names.acquisition.tile_sensing), metadataLevel="Standard"),
        elements.archiving(names),
    )
    geometric = node("Geometric_Info", elements.geocoding(source.tile), elements.tile_angles(source.angles))
    masks = [_carried_mask(names, name) for name in carried] + [
        node("MASK_FILENAME", names.mask(f"{kind}_{resolution}m"), type=f"MSK_{kind}")
        for kind, resolution in PROBABILITIES
    ]
    quality = node(
        "Quality_Indicators_Info",
        node(
            "Image_Content_QI",
            node("CLOUDY_PIXEL_PERCENTAGE", f"{content.cloudy:.6f}"),
            node("CLOUDY_PIXEL_OVER_LAND_PERCENTAGE", f"{content.cloudy_over_land:.6f}"),
            node("DEGRADED_MSI_DATA_PERCENTAGE", f"{content.degraded:.6f}"),
            *content_elements(content),
        ),
        node("Pixel_Level_QI", *masks, geometry="FULL_RESOLUTION"),
        node("PVI_FILENAME", names.preview),
        metadataLevel="Standard",
    )
    return elements.root("Level-2A_Tile_ID", "S2_PDI_Level-2A_Tile_Metadata.xsd", general, geometric, quality)


def _carried_mask(names: ProductNames, name: str) -> ET.Element:
    """The entry of a mask called ``MSK_<kind>_<band>.jp2``; that of all bands is ``B00``."""
    kind, _, band = name.removesuffix(".jp2").rpartition("_")
    path = f"{names.granule_folder}/QI_DATA/{name}"
    index = _BAND_IDS.get(band)
    return node("MASK_FILENAME", path, type=kind, **({} if index is None else {"bandId": index}))
