"""What a product brings along: quality masks, directions, forecasts, the datastrip."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from functions.ipf.common.identity import Production
from functions.ipf.common.xml import render
from functions.ipf.l2a.ancillary import around, forecast_files, read_forecast
from functions.ipf.l2a.datastrip import document
from functions.ipf.l2a.masks import bad_pixels, carried_masks, polygons
from functions.ipf.l2a.sky import sky_over
from functions.ipf.l2a.source import read_level1c
from functions.ipf.safe.angles import NODES, Angles, TileAngles
from functions.ipf.safe.jp2 import Extent
from functions.ipf.safe.names import ProductNames
from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.tiling import tile
from tests.support.level1c import Product, gml, write_product

TARGET = tile("32TMQ")
BLOCK = Extent(0, 0, 300, 300)


def square(left: int, top: int, size: int) -> list[tuple[float, float]]:
    x, y = TARGET.ulx + left, TARGET.uly - top
    return [(x, y), (x + size, y), (x + size, y - size), (x, y - size), (x, y)]


def quality(folder: Path) -> Path:
    (folder / "QI_DATA").mkdir()
    return folder / "QI_DATA"


def test_polygons_of_old_products_are_drawn(tmp_path: Path) -> None:
    (quality(tmp_path) / "MSK_SATURA_B04.gml").write_text(gml(square(400, 200, 100)))
    (tmp_path / "QI_DATA" / "MSK_DEFECT_B04.gml").write_text(gml())
    found = bad_pixels(tmp_path, "B04", TARGET, BLOCK)
    assert found is not None
    assert found[12, 22]
    assert not found[12, 30]
    assert not found[22, 12]
    assert bad_pixels(tmp_path, "B03", TARGET, BLOCK) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "GML without entities"),
        (gml().replace("<eop:maskMembers>", "<eop:maskMembers><gml:posList>1 far</gml:posList>"), "finite coordinates"),
        (gml().replace("<eop:maskMembers>", "<eop:maskMembers><gml:posList>1 2 3</gml:posList>"), "finite coordinates"),
        (gml(square(0, 0, 9)).replace('Dimension="2"', 'Dimension="two"'), "two or three to a point"),
        ("<open", "well-formed"),
        ('<?xml version="1.0" encoding="unheard-of"?><a/>', "well-formed"),
    ],
)
def test_false_polygons_are_refused_by_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "MSK_DEFECT_B01.gml").write_text(text)
    with pytest.raises(BadInputError, match=rf"MSK_DEFECT_B01\.gml.*{said}"):
        polygons(tmp_path / "MSK_DEFECT_B01.gml")


def test_real_masks_are_read_at_20_m_and_carried_over(real_data: Path) -> None:
    (granule,) = (real_data / "l2a_safe").glob("*/GRANULE/*")
    assert bad_pixels(granule, "B02", tile("29UNU"), BLOCK) is None
    names = [path.name for path in carried_masks(granule)[0]]
    assert len(names) >= 20
    assert "MSK_CLASSI_B00.jp2" in names
    assert not any(name.startswith(("MSK_CLDPRB", "MSK_SNWPRB")) for name in names)


def views(zenith: float, azimuth: float, columns: slice) -> Angles:
    grid = np.full((NODES, NODES), np.nan)
    grid[:, columns] = 1.0
    return Angles(zenith * grid, azimuth * grid)


def test_views_of_detectors_are_joined_and_a_band_without_has_the_others() -> None:
    even = np.ones((NODES, NODES))
    angles = TileAngles(
        Angles(40 * even, 359.5 * even + np.linspace(0, 1, NODES) % 1),
        {(1, 5): views(6.0, 90.0, slice(0, 12)), (1, 6): views(6.0, 100.0, slice(12, NODES))},
    )
    sky = sky_over(angles, Extent(0, 0, 1830, 1830))
    assert sky.sun_zenith == pytest.approx(40.0, abs=0.01)
    assert np.cos(np.radians(sky.sun_azimuth)).min() > 0.999
    for band in ("B02", "B8A"):
        zenith, azimuth = sky.views[band]
        assert zenith == pytest.approx(6.0, abs=0.3)
        assert (azimuth > 85).all()
        assert (azimuth < 105).all()


def test_directions_of_a_real_tile_are_those_that_its_metadata_mean(real_data: Path, tmp_path: Path) -> None:
    ground = {b.name: np.full((360 // b.resolution,) * 2, 0.2) for b in BANDS}
    safe = write_product(tmp_path, Product("29UNU"), ground, Extent(0, 0, 6, 6))
    (real,) = (real_data / "l2a_safe").glob("*/GRANULE/*/MTD_TL.xml")
    (old,) = safe.glob("GRANULE/*/MTD_TL.xml")
    old.write_bytes(real.read_bytes())  # of Level-2A, but its angles are Level-1C's
    source = read_level1c(safe)
    sky = sky_over(source.angles, Extent(0, 0, 1830, 1830))
    root = etree.parse(real)
    assert sky.sun_zenith.mean() == pytest.approx(float(root.findtext(".//Mean_Sun_Angle/ZENITH_ANGLE") or 0), abs=0.02)
    rows, columns = (np.arange(n) * NODES // n for n in sky.sun_zenith.shape)
    for mean in root.iter("Mean_Viewing_Incidence_Angle"):
        index = int(mean.get("bandId") or 0)
        grids = [view.zenith for (band, _), view in source.angles.views.items() if band == index]
        seen = np.asarray(np.isfinite(grids).any(axis=0))[np.ix_(rows, columns)]  # the swath covers a part of this tile
        zenith = sky.views[BANDS[index].name][0][seen].mean()
        assert zenith == pytest.approx(float(mean.findtext("ZENITH_ANGLE") or 0), abs=0.3)


def test_no_direction_at_all_is_the_vertical() -> None:
    even = np.ones((NODES, NODES))
    sky = sky_over(TileAngles(Angles(40 * even, 150 * even), {}), BLOCK)
    assert (sky.views["B04"][0] == 0).all()


def test_real_forecasts(real_data: Path) -> None:
    (granule,) = (real_data / "l2a_safe").glob("*/GRANULE/*")
    found = read_forecast(forecast_files([granule / "AUX_DATA"]))
    assert found.files == ("AUX_CAMSFO", "AUX_ECMWFT")
    lon, lat = np.array([-8.2, 351.8, -20.0]), np.array([52.8, 52.8, 52.8])
    for field, low, high in (
        (found.aot, 0.05, 0.2),
        (found.water_cm, 1.0, 1.6),
        (found.ozone_cm_atm, 0.31, 0.33),  # ESA's metadata of this tile say 321.75 DU
        (found.sea_level_hpa, 1000.0, 1010.0),
        (found.ground_m, 40.0, 130.0),
    ):
        assert field is not None
        values = field.at(lon, lat)
        assert ((values > low) & (values < high)).all()
        assert values[0] == pytest.approx(values[1])


def test_a_forecast_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "AUX_CAMSFO").write_bytes(b"no grib")
    with pytest.raises(BadInputError, match="AUX_CAMSFO: expected a GRIB file that GDAL reads"):
        read_forecast(forecast_files([tmp_path]))


def test_headers_are_no_forecasts(tmp_path: Path) -> None:
    for name in ("AUX_CAMSFO.HDR", "z_cams_1", "z_cams_1.xml", "other"):
        (tmp_path / name).touch()
    assert [path.name for path in forecast_files([tmp_path])] == ["z_cams_1"]


def test_the_datastrip_keeps_what_l1c_said_of_it(tmp_path: Path, real_data: Path) -> None:
    even = np.full((6, 6), 0.2)
    small = {10: np.full((36, 36), 0.2), 20: np.full((18, 18), 0.2), 60: even}
    product = Product()
    safe = write_product(tmp_path, product, {b.name: small[b.resolution] for b in BANDS}, Extent(0, 0, 6, 6))
    (real,) = (real_data / "l1c_datastrip").glob("*/*_MTD_L1C_DS_*.xml")
    (safe / "DATASTRIP" / "DS_REFS_20221124T170956_S20221011T064025").mkdir(parents=True)
    (safe / "DATASTRIP" / "DS_REFS_20221124T170956_S20221011T064025" / "MTD_DS.xml").write_bytes(real.read_bytes())
    source = read_level1c(safe)
    names = ProductNames(source.acquisition, "L2A", "32TMQ", Production(datetime(2026, 11, 22, tzinfo=UTC)))
    text = render(document(names, source))
    root = etree.fromstring(text)
    assert root.findtext(".//RECEPTION_STATION") == "SGS_"
    assert [element.get("tileId") for element in root.iter("Tile")] == [names.granule]
    assert root.findtext(".//PROCESSING_CENTER") == "S2PS"
    assert b"REFS" not in text.partition(b"Satellite_Ancillary_Data_Info")[0]
    schema = etree.XMLSchema(etree.parse(real_data / "xsd" / "PSD148" / "S2_PDI_Level-2A_Datastrip_Metadata.xsd"))
    schema.validate(root)
    unknown = [e.message for e in schema.error_log if "_TEST_MSI_L2A_TL_" not in e.message]  # type: ignore[attr-defined]  # the stubs do not know that it iterates
    assert unknown == []


def _earlier(grib: bytes, minutes: int, more: float) -> bytes:
    """GRIB 1 messages for an earlier time, with more aerosol (parameter 207): time and reference value are replaced."""
    made, at = bytearray(grib), 0
    while at < len(grib):
        product = at + 8
        time = int.from_bytes(grib[product + 18 : product + 20], "big") - minutes
        made[product + 18 : product + 20] = time.to_bytes(2, "big")
        grid = product + int.from_bytes(grib[product : product + 3], "big")
        data = grid + int.from_bytes(grib[grid : grid + 3], "big")
        if grib[product + 8] == 207:
            assert grib[data + 6] == 0x40  # IBM's floating point: sixteen to the power of nothing
            least = int.from_bytes(grib[data + 7 : data + 10], "big") + round(more * 2**24)
            made[data + 7 : data + 10] = least.to_bytes(3, "big")
        at += int.from_bytes(grib[at + 4 : at + 7], "big")
    return bytes(made)


@pytest.mark.parametrize(
    ("when", "expected"), [(5.0, (10, 10, 0.0)), (10.0, (10, 20, 0.0)), (14.0, (10, 20, 0.4)), (40.0, (30, 30, 0.0))]
)
def test_a_forecast_holds_between_the_times_around_it(when: float, expected: tuple[float, float, float]) -> None:
    assert around([10.0, 20.0, 30.0], when) == pytest.approx(expected)


def test_of_many_times_in_one_file_those_around_the_sensing_are_taken(real_data: Path, tmp_path: Path) -> None:
    (granule,) = (real_data / "l2a_safe").glob("*/GRANULE/*")
    real = (granule / "AUX_DATA" / "AUX_CAMSFO").read_bytes()
    path = tmp_path / "z_cams_all"
    path.write_bytes(_earlier(real, 120, 0.2) + real)
    valid = datetime(2022, 10, 5, 11, 54, tzinfo=UTC)

    def aerosol(when: datetime) -> float:
        field = read_forecast([path], when).aot
        assert field is not None
        return float(field.at(np.array([-8.2]), np.array([52.8]))[0])

    true = aerosol(valid)
    assert 0.05 < true < 0.2
    for before, more in ((0, 0.0), (30, 0.05), (90, 0.15), (120, 0.2), (600, 0.2)):
        assert aerosol(valid - timedelta(minutes=before)) == pytest.approx(true + more, abs=1e-5)


def test_what_cannot_be_read_is_left_out_where_that_is_asked_for(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "AUX_CAMSFO").write_bytes(b"no grib")
    (granule,) = (real_data / "l2a_safe").glob("*/GRANULE/*")
    refused: list[str] = []
    found = read_forecast([tmp_path / "AUX_CAMSFO", granule / "AUX_DATA" / "AUX_ECMWFT"], None, refused)
    assert found.files == ("AUX_ECMWFT",)
    assert (found.aot is None, found.water_cm is None) == (True, False)
    assert len(refused) == 1
    assert "AUX_CAMSFO: expected a GRIB file" in refused[0]
