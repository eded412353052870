"""The job order that goes with an order: of the licensed set, field by field against the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

import shared.workflow
from shared.errors import ConfigurationError
from shared.joborder import format_job_order, parse_job_order, read_job_order
from shared.joborder.schema import check_by_schema
from shared.ledger.records import ArtifactRef, Order
from shared.workflow.derived import derive
from shared.workflow.graph import Workflow, load_workflow
from shared.workflow.joborders import fill, job_order_of

SESSION = "S2B_20220413132241026648"
WHEN = datetime(2022, 4, 13, 14, 0, tzinfo=UTC)
DERIVED = {
    "theoretical_line_period": "1.565873622",
    "minimum_packet_length": "0",
    "gps_to_tai": "19",
    "tai_to_utc": "-37",
    "orbit_offset": "27",
    "cyclic_orbit_offset": "143",
}


def order(step: str = "l0u", parameters: Mapping[str, str] = DERIVED) -> Order:
    return Order(
        created=WHEN,
        session=SESSION,
        step=step,
        unit=SESSION,
        digest="0" * 64,
        processor="EISP_ING_TYP",
        version="3.0.4",
        inputs=(ArtifactRef(file_type="STO_CADU_S", outcome="x", name=SESSION, digest="0" * 64),),
        parameters={"PROCESSING_CENTER": "S2PS", "CREATION_DATE": "20220413T140000", **parameters},
        t0=WHEN,
        deadline=WHEN,
    )


@pytest.mark.parametrize("name", ["JobOrder_L0U.xml", "job_order_eisp_ing_typ.xml"])
def test_the_ingestion_is_told_what_the_real_job_orders_tell(name: str, real_data: Path) -> None:
    ours, theirs = (
        job_order_of(load_workflow("esa"), order(), "SGS_", "S2B"),
        read_job_order(real_data / "job_orders" / name),
    )
    assert ours is not None
    (our_task,), (their_task,) = ours.tasks, theirs.tasks
    below = their_task.outputs[0].name
    for field in (
        "processor_name", "acquisition_station", "processing_station", "stdout_log_level", "stderr_log_level", "test",
        "breakpoint_enable", "config_files", "sensing_time",
    ):  # fmt: skip
        assert getattr(ours, field) == getattr(theirs, field), field
    assert (our_task.name, our_task.version, our_task.breakpoint) == (
        their_task.name,
        their_task.version,
        their_task.breakpoint,
    )
    assert [(i.file_type, i.file_name_type, len(i.names)) for i in our_task.inputs] == [
        (i.file_type, i.file_name_type, len(i.names)) for i in their_task.inputs
    ]
    assert [
        (o.file_type, o.file_name_type, o.mandatory, o.name.replace("{base}/L0U_DUMP/", below))
        for o in our_task.outputs
    ] == [(o.file_type, o.file_name_type, o.mandatory, o.name) for o in their_task.outputs]
    assert our_task.inputs[0].names == ("{base}/INPUT/",)
    assert our_task.inputs[1].names == ("{base}/L0U_DUMP/",)
    assert list(ours.parameters) == list(theirs.parameters)


def test_its_parameters_have_the_forms_of_a_real_one(real_data: Path) -> None:
    """All but what is of another session, satellite or centre is equal to the letter."""
    ours = job_order_of(load_workflow("esa"), order(), "SGS_", "S2B")
    theirs = read_job_order(real_data / "job_orders" / "job_order_eisp_ing_typ.xml")
    assert ours is not None
    differing = {name for name, value in theirs.parameters.items() if ours.parameters[name] != value}
    assert differing == {"MissionID", "DownlinkTime", "AcquisitionStart", "Processing_Station", "orbit_offset"}
    assert ours.parameters["MissionID"] == "S2B"
    assert ours.parameters["DownlinkTime"] == ours.parameters["AcquisitionStart"] == "20220413T132241"
    assert ours.parameters["Processing_Station"] == "S2PS"
    assert ours.version == theirs.version == "3.0.3"


def test_what_is_derived_from_the_real_auxiliary_files(real_data: Path) -> None:
    blocks = sorted((real_data / "auxiliary").glob("*/*.DBL"))
    files = {block.name[9:19]: (block.stem, block.read_bytes()) for block in blocks}
    auxiliary = load_workflow("esa").processors["l0u"].auxiliary
    assert auxiliary is not None
    assert derive(auxiliary.parameters, files) == DERIVED


def test_it_is_valid_by_our_schema_and_comes_back_as_it_went() -> None:
    made = job_order_of(load_workflow("esa"), order(), "SGS_", "S2B")
    assert made is not None
    document = format_job_order(made).replace(b"{base}", b"/scratch")
    check_by_schema(document)
    assert parse_job_order(document).parameters == made.parameters


def test_of_a_session_beside_another_the_downlink_is_told() -> None:
    first = order()
    esa, beside = load_workflow("esa"), first.model_copy(update={"session": f"{SESSION}-2"})
    assert job_order_of(esa, beside, "SGS_", "S2B") == job_order_of(esa, first, "SGS_", "S2B")


def test_a_processor_that_takes_no_job_order_gets_none() -> None:
    assert job_order_of(load_workflow("esa"), order("l0c"), "SGS_", "S2B") is None


def test_a_processor_of_ours_gets_the_service_s_own() -> None:
    made = job_order_of(load_workflow("open"), order("l0u", {}), "SGS_", "S2B")
    assert made is not None
    assert made.processor_name == "S2PS-L0U"
    assert made.parameters["PROCESSING_CENTER"] == "S2PS"


def test_a_parameter_that_nothing_gives_is_named_with_the_processor() -> None:
    with pytest.raises(ConfigurationError, match=r"processor EISP_ING_TYP, job_order: .*tai_to_utc must be given"):
        job_order_of(
            load_workflow("esa"),
            order(parameters={k: v for k, v in DERIVED.items() if k != "tai_to_utc"}),
            "SGS_",
            "S2B",
        )


def test_a_call_that_is_none_is_named(tmp_path: Path) -> None:
    document = yaml.safe_load((Path(shared.workflow.__file__).parent / "processors" / "esa.yaml").read_text())
    document["processors"]["l0u"]["job_order"]["call"] = "EISP"
    (tmp_path / "set.yaml").write_text(yaml.safe_dump(document))
    wrong: Workflow = load_workflow(str(tmp_path / "set.yaml"))
    with pytest.raises(ConfigurationError, match=r"call EISP: expected one of EISP_ING_TYP"):
        job_order_of(wrong, order(), "SGS_", "S2B")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{A}/x", "1/x"),
        ("{base}/{A}{A}", "{base}/11"),
        ("{B}", "{A}"),
        ("no { end", "no { end"),
        ("{}", "{}"),
        ("", ""),
    ],
)
def test_placeholders_are_filled_once_and_those_of_the_runner_stay(text: str, filled: str) -> None:
    assert fill(text, {"A": "1", "B": "{A}"}) == filled


def test_the_services_own_job_order_names_auxiliary_files_where_the_runner_lays_them() -> None:
    names = (
        "S2B_OPER_GIP_VIEDIR_MPC__20170101T000000_V20170101T000000_21000101T000000_B8A",
        "S2B_OPER_GIP_VIEDIR_MPC__20170101T000000_V20170101T000000_21000101T000000_B01",
        "S2__OPER_AUX_UT1UTC_PDMC_20220407T000000_V20220408T000000_20230407T000000",
        "S2__OPER_AUX_CAMSFO_ADG__20220413T000000_V20220413T000000_20220414T000000",
        "S2__OPER_AUX_ECMWFD_ADG__20220413T000000_V20220413T000000_20220415T000000",
    )
    plain, given = (order("l0u", {}).model_copy(update={"auxiliary": files}) for files in ((), names))
    bare, full = (job_order_of(load_workflow("open"), each, "SGS_", "S2B") for each in (plain, given))
    assert bare is not None
    assert full is not None
    known = len(bare.tasks[0].inputs)
    assert full.tasks[0].inputs[:known] == bare.tasks[0].inputs
    assert [(i.file_type, i.file_name_type, i.names) for i in full.tasks[0].inputs[known:]] == [
        ("AUX_CAMSFO", "Directory", (f"{{aux}}/S2IPF-CAMS/{names[3]}",)),
        ("AUX_ECMWFD", "Physical", (f"{{aux}}/S2IPF-ECMWF/{names[4]}",)),
        ("AUX_UT1UTC", "Physical", (f"{{aux}}/S2IPF-IERS/{names[2]}.txt",)),
        ("GIP_VIEDIR", "Physical", tuple(f"{{aux}}/S2IPF-GIPP/{name}.xml" for name in names[:2])),
    ]
    check_by_schema(format_job_order(full))
