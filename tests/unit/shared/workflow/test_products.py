from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.workflow.products import product_key, sensing_start

MADE = datetime(2026, 11, 22, 12, tzinfo=UTC)
SENSED = datetime(2026, 11, 21, 9, 30, 4, tzinfo=UTC)
PDI = "S2A_OPER_MSI_L0__GR_S2PS_20261122T100000_S{}_D06_N04.00"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("S2A_MSIL1C_20261121T093004_N0400_R072_T08XMJ_20261122T222426", SENSED),
        (PDI.format("20261121T093004"), SENSED),
        ("S2A_OPER_GIP_VIEDIR_MPC__20261120T000209_V20261121T093004_21000101T000000_B8A", SENSED),
        ("S2A_TEST_PRD_HKTM___20261121T093004_20261121T094004_0001", SENSED),
        (PDI.format("20260631T093004"), MADE),
        ("S2A_MSIL1C_20260631T093004_N0400_R072_T08XMJ_20261122T222426", MADE),
        ("anything", MADE),
    ],
)
def test_a_product_stands_under_its_sensing_day_or_where_its_name_tells_none_under_that_of_its_making(
    name: str, start: datetime
) -> None:
    assert sensing_start(name, MADE) == start
    assert product_key("L0", name, MADE) == f"products/L0/{start:%Y/%m/%d}/{name}.json"
