from __future__ import annotations

import pytest

from shared.auxiliary.table import load_types
from shared.domain.auxiliary.folders import Placement, plan
from shared.errors import BadInputError
from tests.support.auxiliary import named

TABLE = load_types()


def files(name: str) -> list[str]:
    return [f"{name}.HDR", f"{name}.DBL"]


@pytest.mark.parametrize(
    ("kind", "action", "target"),
    [
        ("GIP_VIEDIR", "copy", "S2IPF-GIPP/{}.xml"),
        ("GIP_OLQCPA", "copy", "S2IPF-GIPP/{}.zip"),
        ("AUX_UT1UTC", "copy", "S2IPF-IERS/{}.txt"),
        ("AUX_ECMWFD", "concatenate-members", "S2IPF-ECMWF/{}"),
        ("AUX_CAMSFO", "unpack-members", "S2IPF-CAMS/{}"),
    ],
)
def test_each_type_has_its_place(kind: str, action: str, target: str) -> None:
    name = str(named(kind))
    (placement,) = plan(TABLE, {name: files(name)})
    assert (placement.action, placement.target) == (action, target.format(name))
    assert placement.sources == (f"{name}.DBL",)


def test_gribs_that_lie_loose_are_taken_in_the_order_of_their_names() -> None:
    meteo, aerosol = str(named("AUX_ECMWFD")), str(named("AUX_CAMSFO"))
    assert plan(TABLE, {meteo: ["a/S2D2", "b/S2D1", f"{meteo}.HDR"], aerosol: ["x/z_cams_1.grib", "readme"]}) == (
        Placement(aerosol, "copy", ("x/z_cams_1.grib",), f"S2IPF-CAMS/{aerosol}/z_cams_1.grib"),
        Placement(meteo, "concatenate", ("b/S2D1", "a/S2D2"), f"S2IPF-ECMWF/{meteo}"),
    )


def test_a_data_block_of_another_name_is_taken_where_it_is_the_only_one() -> None:
    name = str(named("AUX_UT1UTC"))
    assert plan(TABLE, {name: ["bulletin.txt", "x.HDR"]})[0].sources == ("bulletin.txt",)


@pytest.mark.parametrize("held", [[], ["a.HDR"], ["a.DBL", "b.DBL"]])
def test_without_one_data_block_the_file_is_refused_by_its_name(held: list[str]) -> None:
    name = str(named("GIP_DATATI"))
    with pytest.raises(BadInputError, match=f"{name}: expected one data block"):
        plan(TABLE, {name: held})


def test_a_type_that_no_ipf_takes_is_refused() -> None:
    name = str(named("AUX_GRI020"))
    with pytest.raises(BadInputError, match="AUX_GRI020"):
        plan(TABLE, {name: files(name)})
