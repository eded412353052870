from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.joborder import JobOrder, format_job_order, parse_job_order, read_job_order
from shared.joborder.schema import check_by_schema
from shared.tasktable import Run, call_order, load_scheme
from shared.tasktable.scheme import kind_of

SCHEME = load_scheme()
RUN = Run(
    "L0", "/work", "SGS_", "REFS", "2022-11-24T16:36:50Z", ("20221011T064025", "20221011T064119"), version="3.0.3"
)


def _order(name: str) -> JobOrder:
    call = SCHEME.calls[name]
    return call_order(
        SCHEME,
        name,
        RUN,
        {key: "x" for key, value in call.parameters.items() if value is None},
        {kind_of(text)[0]: (f"/in/{kind_of(text)[0]}",) for text in call.inputs},
        {kind_of(text)[0]: f"/out/{kind_of(text)[0]}" for text in call.outputs},
    )


@pytest.mark.parametrize("name", SCHEME.calls)
def test_the_job_order_of_every_call_is_valid(name: str) -> None:
    document = format_job_order(_order(name))
    assert parse_job_order(document) == _order(name)
    check_by_schema(document)


@pytest.mark.parametrize(
    ("name", "template"), [("EISP_ING_TYP", "JobOrder_L0U.xml"), ("Sen2Cor", "job_order_ChaineL2.xml")]
)
def test_a_call_says_what_the_templates_of_the_reference_say(name: str, template: str, real_data: Path) -> None:
    ours, theirs = _order(name), read_job_order(real_data / "job_orders" / template)
    (our_task,), (their_task,) = ours.tasks, theirs.tasks
    assert our_task.name == their_task.name
    assert [(i.file_type, i.file_name_type) for i in our_task.inputs] == [
        (i.file_type, i.file_name_type) for i in their_task.inputs
    ]
    assert [(o.file_type, o.file_name_type, o.mandatory) for o in our_task.outputs] == [
        (o.file_type, o.file_name_type, o.mandatory) for o in their_task.outputs
    ]
    assert list(ours.parameters) == list(theirs.parameters)
    for key, value in theirs.parameters.items():
        if "@" not in value and not value.startswith("__PH_"):
            assert ours.parameters[key] == value
    assert (ours.test, ours.breakpoint_enable, ours.config_files) == (
        theirs.test,
        theirs.breakpoint_enable,
        theirs.config_files,
    )
    assert bool(ours.acquisition_station) == bool(theirs.acquisition_station)
    assert ours.sensing_time == theirs.sensing_time is None


def test_the_inventory_s_parameters() -> None:
    parameters = _order("INV_MTD_L0_GR").parameters
    assert dict(parameters) == {
        "FILE_CLASS": "NOM",
        "SYSTEM": "S2PDGS-DPC",
        "SOURCE": "L0c_Processor",
        "SOURCE_SW_VERSION": "x",
        "SENSOR_MODE": "NOM",
        "SENSOR_CODE": "MSI",
        "FILE_TYPE": "MSI_L0__GR",
    }
    assert _order("INV_MTD_L1C_TL").parameters["FILE_TYPE"] == "MSI_L1C_TL"
    assert _order("INV_MTD_L1C_TL").tasks[0].outputs == ()
    assert _order("GSE").parameters == {"SAD_BACKUP_EXTENSION": "original"}
    assert _order("GSE").sensing_time == RUN.sensing_time


def test_an_optional_output_that_is_not_wanted_has_no_name() -> None:
    given = {"BACKUP_DIR": "/b", "PDI_L0U": "/in"}
    order = call_order(SCHEME, "GSE", RUN, {}, {"PDI_L0U": ("/in",), "GIP_SPAMOD": ("/s.xml",)}, given)
    assert [(o.file_type, o.name, o.mandatory) for o in order.tasks[0].outputs] == [
        ("BACKUP_DIR", "/b", True),
        ("TSV_DIR", "", False),
        ("PDI_L0U", "/in", True),
        ("REPORT", "", False),
    ]
    assert parse_job_order(format_job_order(order)) == order


def test_what_a_centre_does_not_have_is_left_out() -> None:
    call = SCHEME.calls["Sen2Cor"]
    inputs = {kind_of(text)[0]: (f"/in/{text}",) for text in call.inputs} | {"GIP_L2ACSC": ()}
    outputs = {text: f"/out/{text}" for text in call.outputs}
    order = call_order(
        SCHEME, "Sen2Cor", RUN, {"ARCHIVING_CENTER": "REFS", "PROCESSING_CENTER": "REFS"}, inputs, outputs
    )
    assert "GIP_L2ACSC" not in {i.file_type for i in order.tasks[0].inputs}


@pytest.mark.parametrize(
    ("name", "parameters", "inputs", "named"),
    [
        ("NONE", {}, {}, "call NONE: expected one of"),
        ("GSE", {"COLOUR": "red"}, {}, "call GSE: it has no parameter COLOUR"),
        ("GSE", {}, {"PDI_DS": ("/x",)}, "call GSE: it has no input PDI_DS"),
        ("GSE", {}, {"PDI_L0U": ("/x",)}, "call GSE: GIP_SPAMOD, BACKUP_DIR, PDI_L0U must be given"),
        ("EISP_ING_TYP", {}, {}, "call EISP_ING_TYP: MissionID, DownlinkTime"),
    ],
)
def test_what_is_missing_or_of_no_use_is_named(
    name: str, parameters: dict[str, str], inputs: dict[str, tuple[str, ...]], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        call_order(SCHEME, name, RUN, parameters, inputs, {})
