"""L1C products of the operational form, made around given reflectances: what an archive would drop in."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from functions.ipf.safe.jp2 import Extent, write_jp2
from shared.msi.instrument import BANDS
from shared.msi.tiling import tile

NODES = 23


@dataclass(frozen=True)
class Product:
    """A made-up acquisition. ``offset`` None: baseline before 04.00, no RADIO_ADD_OFFSET; ``psd`` 14 or 15."""

    tile: str = "32TMQ"
    satellite: str = "S2B"
    offset: int | None = -1000
    psd: int = 14
    sun: tuple[float, float] = (40.0, 150.0)
    view: tuple[float, float] = (5.0, 100.0)
    gml: dict[str, str] = field(default_factory=dict)

    @property
    def baseline(self) -> str:
        return "02.09" if self.offset is None else f"0{self.psd - 10}.00"

    @property
    def name(self) -> str:
        return (
            f"{self.satellite}_MSIL1C_20220621T101559_N{self.baseline.replace('.', '')}_R065_T{self.tile}"
            "_20220621T122435.SAFE"
        )


def write_product(root: Path, product: Product, reflectance: Mapping[str, NDArray[np.floating]], at: Extent) -> Path:
    """Write the SAFE; ``reflectance`` by band at its own resolution on the block ``at`` (60 m), no data elsewhere."""
    safe = root / product.name
    granule = safe / "GRANULE" / f"L1C_T{product.tile}_A027638_20220621T101602"
    for folder in ("IMG_DATA", "QI_DATA", "AUX_DATA"):
        (granule / folder).mkdir(parents=True)
    target = tile(product.tile)
    for band in BANDS:
        raw = np.rint(np.asarray(reflectance[band.name]) * 10_000 - (product.offset or 0))
        counts = np.where(np.isfinite(raw), np.clip(raw, 1, 65_535), 0).astype(np.uint16)
        path = granule / "IMG_DATA" / f"T{product.tile}_20220621T101559_{band.name}.jp2"
        write_jp2(path, counts, target, band.resolution, at.scaled(60, band.resolution))
    (safe / "MTD_MSIL1C.xml").write_text(_product_metadata(product, at), encoding="utf-8")
    (granule / "MTD_TL.xml").write_text(_tile_metadata(product), encoding="utf-8")
    for name, text in product.gml.items():
        (granule / "QI_DATA" / name).write_text(text, encoding="utf-8")
    return safe


def gml(*rings: list[tuple[float, float]]) -> str:
    """A mask of polygons as products before baseline 04.00 have it."""
    body = io.StringIO()
    for ring in rings:
        places = " ".join(f"{x} {y}" for x, y in ring)
        body.write(
            '<eop:MaskFeature><eop:extentOf><gml:Polygon><gml:exterior><gml:LinearRing><gml:posList srsDimension="2">'
            f"{places}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></eop:extentOf></eop:MaskFeature>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0"'
        f' xmlns:gml="http://www.opengis.net/gml/3.2"><eop:maskMembers>{body.getvalue()}</eop:maskMembers></eop:Mask>'
    )


def _product_metadata(product: Product, at: Extent) -> str:
    from pyproj import Transformer

    target = tile(product.tile)
    back = Transformer.from_crs(target.epsg, 4326, always_xy=True)
    edges = [(at.column, at.row), (at.column_stop, at.row), (at.column_stop, at.row_stop), (at.column, at.row_stop)]
    ring = [back.transform(target.ulx + 60 * x, target.uly - 60 * y) for x, y in [*edges, edges[0]]]
    places = " ".join(f"{lat} {lon}" for lon, lat in ring)
    offsets = (
        "".join(f'<RADIO_ADD_OFFSET band_id="{b.index}">{product.offset}</RADIO_ADD_OFFSET>' for b in BANDS)
        if product.offset is not None
        else ""
    )
    listed = f"<Radiometric_Offset_List>{offsets}</Radiometric_Offset_List>" if offsets else ""
    space = f"https://psd-{product.psd}.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_User_Product xmlns:n1="{space}"><n1:General_Info><Product_Info>
<PROCESSING_BASELINE>{product.baseline}</PROCESSING_BASELINE>
<Datatake datatakeIdentifier="G{product.satellite}_20220621T101559_027638_N{product.baseline}">
<SPACECRAFT_NAME>Sentinel-{product.satellite[1:]}</SPACECRAFT_NAME><DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
<DATATAKE_SENSING_START>2022-06-21T10:15:59.024Z</DATATAKE_SENSING_START><SENSING_ORBIT_NUMBER>65</SENSING_ORBIT_NUMBER>
<SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION></Datatake></Product_Info>
<Product_Image_Characteristics><QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>{listed}
<Reflectance_Conversion><U>0.967</U></Reflectance_Conversion></Product_Image_Characteristics></n1:General_Info>
<n1:Geometric_Info><Product_Footprint><Product_Footprint><Global_Footprint><EXT_POS_LIST>{places}</EXT_POS_LIST>
</Global_Footprint></Product_Footprint></Product_Footprint></n1:Geometric_Info>
<n1:Quality_Indicators_Info><Technical_Quality_Assessment>
<DEGRADED_ANC_DATA_PERCENTAGE>0.0</DEGRADED_ANC_DATA_PERCENTAGE>
<DEGRADED_MSI_DATA_PERCENTAGE>0</DEGRADED_MSI_DATA_PERCENTAGE></Technical_Quality_Assessment></n1:Quality_Indicators_Info>
</n1:Level-1C_User_Product>"""


def _tile_metadata(product: Product) -> str:
    space = f"https://psd-{product.psd}.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd"
    views = "".join(
        f'<Viewing_Incidence_Angles_Grids bandId="{band.index}" detectorId="{detector}">'
        f"{_grids(*product.view, detector)}</Viewing_Incidence_Angles_Grids>"
        for band in BANDS
        for detector in (5, 6)
    )
    identity = f"{product.satellite}_OPER_MSI_L1C_TL_2BPS_20220621T122435_A027638_T{product.tile}_N{product.baseline}"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_Tile_ID xmlns:n1="{space}"><n1:General_Info><TILE_ID metadataLevel="Brief">{identity}</TILE_ID>
<SENSING_TIME metadataLevel="Standard">2022-06-21T10:26:35.871651Z</SENSING_TIME></n1:General_Info><n1:Geometric_Info>
<Tile_Angles metadataLevel="Standard"><Sun_Angles_Grid>{_grids(*product.sun, 0)}</Sun_Angles_Grid>{views}</Tile_Angles>
</n1:Geometric_Info></n1:Level-1C_Tile_ID>"""


def _grids(zenith: float, azimuth: float, detector: int) -> str:
    """Constant grids; those of a detector know one half of the tile's columns."""
    parts = []
    for tag, value in (("Zenith", zenith), ("Azimuth", azimuth)):
        known = [(detector in {0, 5} and c < 13) or (detector in {0, 6} and c >= 11) for c in range(NODES)]
        row = " ".join(f"{value}" if k else "NaN" for k in known)
        rows = f"<VALUES>{row}</VALUES>" * NODES
        step = '<COL_STEP unit="m">5000</COL_STEP><ROW_STEP unit="m">5000</ROW_STEP>'
        parts.append(f"<{tag}>{step}<Values_List>{rows}</Values_List></{tag}>")
    return "".join(parts)
