"""L1C products from outside are read as hostile."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from functions.ipf.l2a.scene import low_sun
from functions.ipf.l2a.source import read_level1c
from functions.ipf.safe import elements
from functions.ipf.safe.footprint import extent_in_tile
from functions.ipf.safe.jp2 import Extent
from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.tiling import tile

NAME = "S2A_MSIL1C_20260621T101955_N0001_R065_T32TMQ_20261122T120000.SAFE"
BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'


def make(root: Path, product: str, tile: str = "<a/>") -> Path:
    safe = root / NAME
    granule = safe / "GRANULE" / "L1C_T32TMQ_A057405_20260621T102000"
    granule.mkdir(parents=True)
    (safe / "MTD_MSIL1C.xml").write_text(product, encoding="utf-8")
    (granule / "MTD_TL.xml").write_text(tile)
    return safe


def test_entities_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"MTD_MSIL1C\.xml: expected well-formed XML without entities"):
        read_level1c(make(tmp_path, BOMB))


def test_what_is_no_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"MTD_TL\.xml"):
        read_level1c(make(tmp_path, "<a/>", "no xml"))


def test_a_missing_element_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="DATATAKE_SENSING_START"):
        read_level1c(make(tmp_path, "<a/>"))


def test_another_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="L1C"):
        read_level1c(tmp_path / NAME.replace("MSIL1C", "MSIL2A"))


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="product name"):
        read_level1c(tmp_path / "product")


def test_a_missing_document_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"MTD_MSIL1C\.xml"):
        read_level1c(tmp_path / NAME)


def grid(tag: str, value: str = "30", **attributes: str) -> str:
    rows = f"<VALUES>{' '.join([value] * 23)}</VALUES>" * 23
    parts = "".join(f"<{part}><Values_List>{rows}</Values_List></{part}>" for part in ("Zenith", "Azimuth"))
    said = " ".join(f'{name}="{text}"' for name, text in attributes.items())
    return f"<{tag} {said}>{parts}</{tag}>"


PRODUCT = """<a><Datatake><DATATAKE_SENSING_START>2026-06-21T10:19:55.000Z</DATATAKE_SENSING_START>
<DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE><SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION></Datatake>
<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
<Reflectance_Conversion><U>0.97</U></Reflectance_Conversion>
<DEGRADED_ANC_DATA_PERCENTAGE>1.5</DEGRADED_ANC_DATA_PERCENTAGE>
<DEGRADED_MSI_DATA_PERCENTAGE>0.0</DEGRADED_MSI_DATA_PERCENTAGE>
<Global_Footprint><EXT_POS_LIST>44 8 44 9 45 9 44 8</EXT_POS_LIST></Global_Footprint></a>"""
ANGLES = grid("Sun_Angles_Grid") + grid("Viewing_Incidence_Angles_Grids", bandId="3", detectorId="6")
TILE = f"<a><TILE_ID>id</TILE_ID><SENSING_TIME>2026-06-21T10:20:03.000Z</SENSING_TIME>{ANGLES}</a>"


def with_images(safe: Path) -> Path:
    images = next((safe / "GRANULE").iterdir()) / "IMG_DATA"
    images.mkdir()
    for band in BANDS:
        (images / f"T32TMQ_20260621T101955_{band.name}.jp2").touch()
    return safe


def test_a_product_without_offsets_has_none(tmp_path: Path) -> None:
    found = read_level1c(with_images(make(tmp_path, PRODUCT, TILE)))
    assert set(found.offsets.values()) == {0.0}
    assert found.acquisition.absolute_orbit == 57_405
    assert (3, 6) in found.angles.views
    assert (found.degraded_percent, found.degraded_ancillary_percent) == (0.0, 1.5)


def test_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    found = read_level1c(with_images(make(tmp_path, PRODUCT.replace("000Z", "000"), TILE)))
    assert found.acquisition.datatake_start.tzinfo is UTC


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (">10000<", ">0<", "QUANTIFICATION_VALUE: expected a number above 0"),
        (">10000<", ">nan<", "QUANTIFICATION_VALUE: expected finite numbers"),
        (">10000<", ">1 2<", "QUANTIFICATION_VALUE: expected a number from 0"),
        (">0.97<", ">-1<", "Reflectance_Conversion/U"),
        ("</a>", '<RADIO_ADD_OFFSET band_id="0">abc</RADIO_ADD_OFFSET></a>', "RADIO_ADD_OFFSET: expected finite"),
        ("</a>", '<RADIO_ADD_OFFSET band_id="13">1</RADIO_ADD_OFFSET></a>', "RADIO_ADD_OFFSET: expected a band_id"),
        ("</a>", f'<PHYSICAL_GAINS bandId="{"9" * 5000}">1</PHYSICAL_GAINS></a>', "PHYSICAL_GAINS: expected a bandId"),
        ("</a>", '<PHYSICAL_GAINS bandId="0">0</PHYSICAL_GAINS></a>', "PHYSICAL_GAINS: expected a number above 0"),
        (
            "</a>",
            '<SOLAR_IRRADIANCE bandId="x">9</SOLAR_IRRADIANCE></a>',
            "SOLAR_IRRADIANCE: expected a bandId of 0..12",
        ),
        ("44 8 44 9 ", "44 8 far away ", "EXT_POS_LIST: expected finite numbers"),
        ("DESCENDING", "SIDEWAYS", "SENSING_ORBIT_DIRECTION: expected ASCENDING or DESCENDING"),
        ("10:19:55", "25:19:55", "DATATAKE_SENSING_START: expected a UTC time"),
    ],
)
def test_false_product_metadata_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read_level1c(with_images(make(tmp_path, PRODUCT.replace(old, new), TILE)))


@pytest.mark.parametrize(
    ("tile", "said"),
    [
        (TILE.replace(grid("Sun_Angles_Grid"), ""), r"MTD_TL\.xml, Sun_Angles_Grid: expected an element"),
        (TILE.replace(grid("Sun_Angles_Grid"), grid("Sun_Angles_Grid", "NaN")), "an angle at every node"),
        (TILE.replace(grid("Sun_Angles_Grid"), grid("Sun_Angles_Grid", "low")), "Zenith: expected numbers"),
        (TILE.replace('bandId="3"', 'bandId="red"'), "expected numbers of band and detector"),
        (TILE.replace('bandId="3"', f'bandId="{"9" * 5000}"'), "expected numbers of band and detector"),
    ],
)
def test_false_tile_metadata_are_named(tmp_path: Path, tile: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read_level1c(with_images(make(tmp_path, PRODUCT, tile)))


def test_a_granule_of_another_name_is_refused(tmp_path: Path) -> None:
    safe = with_images(make(tmp_path, PRODUCT, TILE))
    granule = next((safe / "GRANULE").iterdir())
    granule.rename(granule.with_name("L1C_other"))
    with pytest.raises(BadInputError, match=r"granule L1C_other: expected a name as L1C_T32TMQ_A012345_"):
        read_level1c(safe)


def test_products_of_before_the_compact_form_are_refused_in_a_sentence(tmp_path: Path) -> None:
    old = "S2A_OPER_PRD_MSIL1C_PDMC_20161214T202954_R008_V20151021T104102_20151021T104102.SAFE"
    with pytest.raises(BadInputError, match=r"PRD_MSIL1C.*before 6 December 2016 hold several tiles"):
        read_level1c(tmp_path / old)


def test_a_granule_of_another_tile_is_refused(tmp_path: Path) -> None:
    safe = with_images(make(tmp_path, PRODUCT, TILE))
    granule = next((safe / "GRANULE").iterdir())
    granule.rename(granule.with_name(granule.name.replace("32TMQ", "32TMR")))
    with pytest.raises(BadInputError, match="expected tile 32TMQ, as the product's name says, found '32TMR'"):
        read_level1c(safe)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("EPSG:32632", "EPSG:32633", r"MTD_TL\.xml, HORIZONTAL_CS_CODE: expected EPSG:32632, for tile 32TMQ"),
        ("399960", "400000", r"MTD_TL\.xml, .*ULX: expected 399960"),
    ],
)
def test_a_tile_that_lies_elsewhere_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    place = (
        "<Tile_Geocoding><HORIZONTAL_CS_CODE>EPSG:32632</HORIZONTAL_CS_CODE>"
        '<Geoposition resolution="10"><ULX>399960</ULX><ULY>5000040</ULY></Geoposition></Tile_Geocoding></a>'
    )
    document = TILE.replace("</a>", place)
    assert read_level1c(with_images(make(tmp_path / "right", PRODUCT, document))).tile.ulx == 399_960
    with pytest.raises(BadInputError, match=said):
        read_level1c(with_images(make(tmp_path / "wrong", PRODUCT, document.replace(old, new))))


def test_what_tools_leave_beside_files_is_not_read(tmp_path: Path) -> None:
    safe = with_images(make(tmp_path, PRODUCT, TILE))
    granule = next((safe / "GRANULE").iterdir())
    for clutter in (
        tmp_path / f"._{NAME}",
        safe / "GRANULE" / f"{granule.name}_$folder$",
        safe / "GRANULE" / f"._{granule.name}",
        granule / "IMG_DATA" / "._T32TMQ_20260621T101955_B02.jp2",
    ):
        clutter.write_bytes(b"x")
    assert read_level1c(tmp_path).granule_folder == granule


@pytest.mark.parametrize("space", ["https://psd-14.sentinel2.eo.esa.int/PSD/x.xsd", "https://psd-15.example/PSD/x"])
def test_namespaces_do_not_matter(tmp_path: Path, space: str) -> None:
    product, tile_document = (text.replace("<a>", f'<a xmlns="{space}">', 1) for text in (PRODUCT, TILE))
    assert read_level1c(with_images(make(tmp_path, product, tile_document))).quantification == 10_000


def test_what_holds_for_level_2a_as_well_is_kept(tmp_path: Path) -> None:
    listed = '<GIPP_List><GIPP_FILENAME type="GIP_VIEDIR" version="0005">name</GIPP_FILENAME></GIPP_List></a>'
    found = read_level1c(with_images(make(tmp_path, PRODUCT.replace("</a>", listed), TILE)))
    assert set(found.stated) == {"GIPP_List"}


def test_a_missing_band_is_named(tmp_path: Path) -> None:
    safe = with_images(make(tmp_path, PRODUCT, TILE))
    next(safe.rglob("*_B10.jp2")).unlink()
    with pytest.raises(BadInputError, match="IMG_DATA: expected one image of B10, found 0"):
        read_level1c(safe)


def test_a_folder_that_holds_the_one_product_will_do(tmp_path: Path) -> None:
    with_images(make(tmp_path, PRODUCT, TILE))
    assert read_level1c(tmp_path).name == NAME


def test_percentages_that_are_not_stated_are_none_and_a_datastrip_may_be_absent(tmp_path: Path) -> None:
    bare = "\n".join(line for line in PRODUCT.splitlines() if "DEGRADED" not in line)
    found = read_level1c(with_images(make(tmp_path, bare + "</a>" * ("</a>" not in bare), TILE)))
    assert (found.degraded_percent, found.degraded_ancillary_percent) == (0.0, 0.0)
    assert found.datastrip is None
    assert found.granule_folder.name == "L1C_T32TMQ_A057405_20260621T102000"


def test_percentages_that_are_empty_are_none(tmp_path: Path) -> None:
    found = read_level1c(with_images(make(tmp_path, PRODUCT.replace(">1.5<", "><"), TILE)))
    assert found.degraded_ancillary_percent == 0.0


def test_irradiances_and_gains_are_those_of_the_product_s_satellite(tmp_path: Path) -> None:
    stated = (
        '<SOLAR_IRRADIANCE bandId="0" unit="W/m²/µm">1874.3</SOLAR_IRRADIANCE>'
        '<PHYSICAL_GAINS bandId="8">5.11345501</PHYSICAL_GAINS></a>'
    )
    found = read_level1c(with_images(make(tmp_path, PRODUCT.replace("</a>", stated), TILE)))
    assert (found.irradiances, found.gains) == ({"B01": 1874.3}, {"B8A": 5.11345501})
    conversion = elements.reflectance_conversion(found.earth_sun_u, found.irradiances)
    assert [e.text for e in conversion.iter("SOLAR_IRRADIANCE")][:2] == ["1874.30", "1959.66"]
    gains = {e.get("bandId"): e.text for e in elements.physical_gains(found.gains)}
    assert (gains["8"], gains["0"]) == ("5.11345501", "4.10589348")


def test_a_footprint_across_the_antimeridian_lies_in_its_tile(tmp_path: Path) -> None:
    """That of a real product (N0209, T01LAC): longitudes of both signs in one ring."""
    east = "-15.3559 180 -15.3602 -179.7034 -16.3517 -179.7167 -16.3474 180"
    ring = f"{east} -16.3360 179.2569 -15.3455 179.2752 -15.3559 180"
    found = read_level1c(with_images(make(tmp_path, PRODUCT.replace("44 8 44 9 45 9 44 8", ring), TILE)))
    assert extent_in_tile(found.footprint, tile("01LAC"), 60) == Extent(0, 0, 1830, 1830)


def test_a_sun_below_the_table_is_told() -> None:
    assert low_sun(81.0) == ()
    assert "up to 83.2 degrees" in low_sun(83.2)[0]
