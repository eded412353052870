"""``L2A_QUALITY.xml``: what the correction found, in the three lists of operational products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.ipf.common.xml import node
from functions.ipf.l2a import metadata
from shared.msi.atmosphere_table import TABLE

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping

    from functions.ipf.common.olqc import Inspector
    from functions.ipf.l2a.metadata import Content
    from functions.ipf.l2a.scene import Scene
    from functions.ipf.safe.names import ProductNames

FILE: Final = "L2A_QUALITY.xml"
_NAMESPACE: Final = "http://gs2.esa.int/DATA_STRUCTURE/l2aqiReport"
_HIGH_KM, _LOW_SUN_DEG, _MUCH_WATER_CM = 3.0, 70.0, 5.0

Lists = dict[str, list[tuple[str, dict[str, str]]]]


def quality_file(names: ProductNames, content: Content, scene: Scene, inspector: Inspector) -> ET.Element:
    """The document."""
    created = inspector.created.strftime("%Y-%m-%dT%H:%M:%S")
    header = node(
        "Fixed_Header",
        node("File_Name", FILE.removesuffix(".xml")),
        node("File_Description", f"Quality information obtained from {inspector.name}"),
        node("Notes", "Accuracies of 0 are not estimated."),
        node("Mission", names.acquisition.satellite),
        node("File_Class", "TEST"),
        node("File_Type", "L2A_QLINFO"),
        node(
            "Validity_Period",
            node("Validity_Start", f"UTC={created}"),
            node("Validity_Stop", "UTC=2100-01-01T00:00:00"),
        ),
        node("File_Version", "1"),
        node(
            "Source",
            node("System", "S2PS"),
            node("Creator", inspector.name),
            node("Creator_Version", inspector.version),
            node("Creation_Date", f"UTC={created}"),
        ),
    )
    lists = [_list(names, name, checks, inspector) for name, checks in _found(content, scene).items()]
    report = node("report", *lists, gippVersion=inspector.version, globalStatus="PASSED", date=f"{created}Z")
    block = node("Data_Block", report, type="xml")
    return node("L2A_Quality_File", node("L2A_Quality_Header", header), block, xmlns=_NAMESPACE)


def _found(content: Content, scene: Scene) -> Lists:
    """Check lists by name: each check's message and values."""
    zenith = scene.sky.sun_zenith
    shares = {element.tag: element.text or "" for element in metadata.content_elements(content)}
    cloudy = {
        "CLOUDY_PIXEL_PERCENTAGE": f"{content.cloudy:.6f}",
        "CLOUDY_PIXEL_OVER_LAND_PERCENTAGE": f"{content.cloudy_over_land:.6f}",
        "DEGRADED_MSI_DATA_PERCENTAGE": f"{content.degraded:.6f}",
    }
    air = {
        "AOT_RETRIEVAL_ACCURACY": shares["AOT_RETRIEVAL_ACCURACY"],
        "GRANULE_MEAN_AOT": shares["GRANULE_MEAN_AOT"],
        "WV_RETRIEVAL_ACCURACY": shares["WATER_VAPOUR_RETRIEVAL_ACCURACY"],
        "GRANULE_MEAN_WV": shares["GRANULE_MEAN_WV"],
        "OZONE_VALUE": shares["OZONE_VALUE"],
        "AVERAGE_SOLAR_ZENITH_ANGLE": f"{float(zenith.mean()):.6f}",
        "AOT_RETRIEVAL_METHOD": shares["AOT_RETRIEVAL_METHOD"],
        "AOT_ABOVE_1": str(content.aot > 1),
        "GRANULE_WV_ABOVE_5_CM": str(content.water_cm > _MUCH_WATER_CM),
    }
    ground = {
        "DEM_TYPE": "given" if scene.terrain_files else "None",
        "DEM_MEAN_ALTITUDE_KM": f"{float(scene.ground_km.mean()):.6f}",
        "GROUND_ELEVATION_ABOVE_3_KM": str(bool(float(scene.ground_km.max()) > _HIGH_KM)),
        "SOLAR_ZENITH_ANGLE_ABOVE_70_DEG": str(bool(float(zenith.max()) > _LOW_SUN_DEG)),
        "OZONE_SOURCE": content.ozone_source,
    }
    classes = {tag: text for tag, text in shares.items() if tag.endswith("_PERCENTAGE")}
    return {
        "SCENE_CLASS_QUALITY": [("Percentage of classified pixels", cloudy | classes)],
        "ATMOSPHERIC_CORRECTION_QUALITY": [
            ("Atmospheric correction quality values", air),
            ("Percentage of pixels of negative surface reflectance", _percentages(content.negative)),
            ("Look up table file list", {"LUT_DATA_FILES": TABLE}),
        ],
        "AUX_DATA_QUALITY": [
            ("AUX related parameters", ground),
            ("AUX data file list", {"AUX_DATA_FILES": ", ".join(scene.terrain_files) or "None"}),
        ],
    }


def _percentages(shares: Mapping[str, float]) -> dict[str, str]:
    return {band: f"{share:.6f}" for band, share in shares.items()}


def _list(names: ProductNames, name: str, checks: list[tuple[str, dict[str, str]]], inspector: Inspector) -> ET.Element:
    return node(
        "checkList",
        node("parentID", inspector.rules),
        node("name", name),
        node("version", inspector.version),
        node(
            "item",
            url=f"{names.granule}/",
            className="PDI Level 2A Tile Folder",
            name=names.granule,
            class_="http://www.esa.int/s2#pdi_level_2a_tile_container",
        ),
        *(
            node(
                "check",
                node("message", message, contentType="text/plain"),
                node("extraValues", *(node("value", text, name=key) for key, text in values.items())),
            )
            for message, values in checks
        ),
    )
