from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from shared.errors import BadInputError, ConfigurationError, NotReadyError
from shared.joborder import JobOrder, format_job_order, parse_job_order
from shared.joborder.schema import check_by_schema
from shared.tasktable import (
    Expansion,
    History,
    Process,
    expand,
    expand_pool,
    gipp_sources,
    load_scheme,
    read_task_table,
)
from shared.tasktable.model import Option
from tests.support.chain import BEFORE, DATASTRIP, FACTS, GRANULES, TILE, expand_all, run_of, sources

SCHEME = load_scheme()
# As measured with the reference's own Launcher and Orchestrator on a datastrip of 16 scenes, with 4 parallel tasks.
MEASURED = {
    "L0": [
        {"INIT_LOC_L0": 1, "FORMAT_ISP": 48},
        {"QL_GEO": 60},
        {"QL_CLOUD_MASK": 1},
        {"FORMAT_IMG_QL_L0": 5},
        {"FORMAT_METADATA_GR_L0C": 12},
        {"FORMAT_METADATA_DS_L0C": 1},
    ],
    "OLQC_L0DS": [{"OLQC_DS_L0": 1}, {"INV_MTD_L0_DS": 1}],
    "OLQC_L0GR": [{"OLQC_GR_L0": 4}, {"INV_MTD_L0_GR": 4}],
    "L1A": [
        {"UNFORMAT_SAFE_DS": 1, "UNFORMAT_SAFE_GR": 12},
        {"QL_DECOMP": 13},
        {"QL_CLOUD_MASK": 1},
        {"UPDATE_LOC": 1},
        {"DECOMP": 312},
        {"INIT_LOC_L1": 12, "RADIO_AB": 24},
        {"RADIO_FINALIZE": 156},
        {"GET_GRI": 1},
    ],
    "L1B": [
        {"INIT_VS_GEO": 1},
        {"UNFORMAT_GRI": 14},
        {"RESAMPLE_TO_VS": 24},
        {"TP_COLLECT": 12},
        {"TP_FILTER": 12},
        {"SPATIO": 1},
        {"GEO1B_FINALIZE": 156},
        {"FORMAT_METADATA_DS_L1B": 1},
        {"GET_TILE_LIST": 1},
    ],
    "L1BNoGRI": [{"GEO1B_FINALIZE": 4}, {"FORMAT_METADATA_DS_L1B": 1}, {"GET_TILE_LIST": 1}],
    "L1AFormatDS": [{"FORMAT_METADATA_DS_L1A": 1}, {"OLQC_DS_L1A": 1}, {"INV_MTD_L1A_DS": 1}],
    "L1AFormatGR": [{"FORMAT_IMG_L1A": 48}, {"FORMAT_METADATA_GR_L1A": 12}, {"OLQC_GR_L1A": 4}, {"INV_MTD_L1A_GR": 4}],
    "OLQC_L1BDS": [{"OLQC_DS_L1B": 1}, {"INV_MTD_L1B_DS": 1}],
    "L1BFormatGR": [
        {"FORMAT_IMG_L1B": 192},
        {"FORMAT_METADATA_GR_L1B": 192},
        {"OLQC_GR_L1B": 4},
        {"INV_MTD_L1B_GR": 4},
    ],
    "L1CTile": [
        {"TILE_INIT": 1},
        {"GEN_ORTHO_TOA": 13},
        {"TILE_FINALIZE": 1},
        {"MASK_S2": 1},
        {"FORMAT_IMG_L1C": 13, "FORMAT_IMG_PVI_TCI": 1},
        {"FORMAT_METADATA_TILE_L1C": 1},
        {"OLQC": 1, "INV_MTD_L1C_TL": 1},
    ],
    "OLQC_L1CDS": [{"FORMAT_METADATA_DS_L1C": 1}, {"OLQC_DS_L1C": 1}, {"INV_MTD_L1C_DS": 1}],
}
TOTALS = {"L0": 128, "L1A": 533, "L1B": 222, "L1BNoGRI": 6, "L1CTile": 33, "OLQC_L1CDS": 3}


@cache
def _all() -> dict[str, Expansion]:
    return expand_all(SCHEME)


def _counts(expansion: Expansion) -> list[dict[str, int]]:
    stages = [*expansion.pools, expansion.then] if expansion.then else [*expansion.pools]
    return [dict(Counter(process.task for process in stage)) for stage in stages]


@pytest.mark.parametrize("mode", MEASURED)
def test_each_mode_has_the_measured_number_of_processes_in_each_pool(mode: str) -> None:
    assert _counts(_all()[mode]) == MEASURED[mode]
    if mode in TOTALS:
        assert sum(sum(pool.values()) for pool in MEASURED[mode]) == TOTALS[mode]


def test_gse_runs_before_level_0_and_stands_in_no_pool() -> None:
    assert [process.task for process in _all()["L0"].before] == ["GSE"]
    assert sum(len(expansion.before) for expansion in _all().values()) == 1


def test_the_whole_datastrip_takes_1885_processes() -> None:
    """With GSE, every tile, and Level-1B formatting, and without that of Level 1A."""
    modes = ("L0", "OLQC_L0DS", "OLQC_L0GR", "L1A", "L1B", "OLQC_L1BDS", "L1BFormatGR", "OLQC_L1CDS")
    total = sum(len(list(_all()[mode].processes())) for mode in modes)
    assert total + 18 * len(list(_all()["L1CTile"].processes())) == 1885


def test_one_scene_has_92_processes_at_level_0() -> None:
    facts = replace(FACTS, granules={"001": 1}, granule_names=GRANULES[:12])
    assert sum(map(len, expand(SCHEME, run_of(SCHEME, "L0"), facts).pools)) == 92


def test_the_real_task_tables_expand_alike(real_data: Path) -> None:
    for mode, before in BEFORE.items():
        table = read_task_table(real_data / "task_tables" / "6.1" / f"TaskTable_{mode}.xml")
        history = _all()[before].history if before else ()
        expansion = expand(SCHEME, run_of(SCHEME, mode), FACTS, history, table)
        assert _counts(expansion) == _counts(_all()[mode])
        for ours, theirs in zip(_all()[mode].processes(), expansion.processes(), strict=True):
            assert ours.order.parameters == theirs.order.parameters
            assert {i.file_type: i for i in ours.order.tasks[0].inputs} == {
                i.file_type: i for i in theirs.order.tasks[0].inputs
            }
            assert set(ours.order.tasks[0].outputs) == set(theirs.order.tasks[0].outputs)


@pytest.mark.parametrize("scheme", ["5.0", "6.0"])
def test_the_tables_of_older_schemes_expand_to_as_many(scheme: str, real_data: Path) -> None:
    done: dict[str, Expansion] = {}
    for mode, before in BEFORE.items():
        path = real_data / "task_tables" / scheme / f"TaskTable_{mode}.xml"
        if path.exists():  # Level 0 came later
            history = done[before].history if before else ()
            done[mode] = expand(SCHEME, run_of(SCHEME, mode), FACTS, history, read_task_table(path))
            assert _counts(done[mode]) == _counts(_all()[mode])
    assert len(done) == 10


@pytest.mark.parametrize("mode", BEFORE)
def test_every_job_order_is_valid_and_survives_writing(mode: str) -> None:
    seen: set[str] = set()
    for process in _all()[mode].processes():
        document = format_job_order(process.order, process.order_path)
        assert parse_job_order(document) == process.order
        if process.task not in seen:  # the processes of a task differ by a parameter
            check_by_schema(document)
        seen.add(process.task)


@pytest.mark.parametrize("mode", BEFORE)
def test_no_two_processes_share_a_job_order_a_working_folder_or_a_part(mode: str) -> None:
    processes = list(_all()[mode].processes())
    assert len({process.order_path for process in processes}) == len(processes)
    assert len({process.order.input_files("WORKING") for process in processes if _has(process, "WORKING")}) == len(
        [process for process in processes if _has(process, "WORKING")]
    )
    parts = [
        (process.task, tuple(process.order.parameters.items()), process.order.tasks[0].inputs[:1])
        for process in processes
        if not process.task.startswith("OLQC_GR")
    ]
    assert len(set(parts)) == len(parts)


def _has(process: Process, file_type: str) -> bool:
    return any(i.file_type == file_type for i in process.order.tasks[0].inputs)


@pytest.mark.parametrize("mode", BEFORE)
def test_whatever_comes_from_a_task_was_written_by_an_earlier_one(mode: str) -> None:
    """Every path that is not auxiliary or input data lies below an output of an earlier pool or mode."""
    written: set[str] = set()
    before = BEFORE[mode]
    while before:
        written |= {out.name for p in _all()[before].processes() for out in p.order.tasks[0].outputs}
        before = BEFORE[before]
    own = _all()[mode]
    resolved = 0
    for stage in (own.before, *own.pools, own.then):
        for process in stage:
            for link in process.links:
                for target in link.targets:
                    if target.startswith(("/aux/", "/in/")) or target.rpartition("/")[2] in {
                        *("OLQC_PERSISTENT", "VIRTUAL_SENSOR", "HOMOLOG_POINTS_LIST", "TIE_POINTS", "GCP_POINTS"),
                    }:
                        continue
                    resolved += 1
                    assert any(target == out or target.startswith(f"{out}/") for out in written), (process.task, target)
            named = {name for i in process.order.tasks[0].inputs for name in i.names}
            linked = {link.path for link in process.links if not link.merged_into_product}
            for path in linked - named:
                assert any(name.startswith(f"{path}/") for name in named), (process.task, path)
        written |= {out.name for process in stage for out in process.order.tasks[0].outputs}
    assert resolved or mode == "L0"


def _first(mode: str, task: str) -> Process:
    return next(process for process in _all()[mode].processes() if process.task == task)


def _feeds(mode: str, task: str, file_type: str) -> list[str]:
    """(mode/task) of the outputs that feed an input."""
    links = [
        link
        for link in _first(mode, task).links
        if link.path.rpartition("/")[2] in {file_type, f"{file_type.lower()}.xml"}
    ]
    return ["/".join(target.split("/")[2:4]) for link in links for target in link.targets]


@pytest.mark.parametrize(
    ("mode", "task", "file_type", "producers"),
    [
        ("L1A", "QL_CLOUD_MASK", "QUICKLOOK_CM", ["L1A/QL_DECOMP"]),
        ("L1A", "DECOMP", "PDI_GR_LIST", ["L1A/UPDATE_LOC", "L1A/UNFORMAT_SAFE_GR"]),
        ("L1A", "INIT_LOC_L1", "VECTOR", ["L1A/QL_CLOUD_MASK"]),
        ("L1A", "RADIO_AB", "VECTOR", ["L1A/DECOMP"]),  # not of INIT_LOC_L1, which runs at the same time
        ("L1A", "RADIO_FINALIZE", "VECTOR", ["L1A/DECOMP", "L1A/RADIO_AB", "L1A/INIT_LOC_L1"]),
        ("L1A", "RADIO_FINALIZE", "PDI_DS", ["L1A/UPDATE_LOC"]),
        ("L1A", "GET_GRI", "VECTOR", ["L1A/INIT_LOC_L1"]),
        ("L1B", "RESAMPLE_TO_VS", "GRI_ORBIT", ["L1A/GET_GRI", "L1B/UNFORMAT_GRI"]),
        ("L1B", "RESAMPLE_TO_VS", "PDI_ATF_LIST", ["L1A/RADIO_AB"]),
        ("L1B", "GET_TILE_LIST", "PDI_DS", ["L1B/FORMAT_METADATA_DS_L1B"]),
        ("L1B", "GET_TILE_LIST", "VECTOR_DS_FOOTPRINT", ["L1B/FORMAT_METADATA_DS_L1B"]),
        ("L1B", "FORMAT_METADATA_DS_L1B", "GRI_LIST_FILE", ["L1A/GET_GRI"]),
        ("L1B", "FORMAT_METADATA_DS_L1B", "PDI_DS", ["L1B/SPATIO"]),
        ("L1B", "GET_TILE_LIST", "VECTOR", ["L1B/GEO1B_FINALIZE"]),  # not the products of Level 1B
        ("L1BNoGRI", "FORMAT_METADATA_DS_L1B", "PDI_DS", ["L1A/RADIO_FINALIZE"]),
        ("L1AFormatDS", "FORMAT_METADATA_DS_L1A", "PDI_DS", ["L1A/RADIO_FINALIZE"]),
        ("L1BFormatGR", "FORMAT_IMG_L1B", "PDI_DS_GR_LIST", ["L1B/GEO1B_FINALIZE", "L1A/INIT_LOC_L1"]),
        (
            "L1BFormatGR",
            "FORMAT_METADATA_GR_L1B",
            "PDI_DS_GR_LIST",
            ["L1B/GEO1B_FINALIZE", "L1A/INIT_LOC_L1", "L1BFormatGR/FORMAT_IMG_L1B"],
        ),
        ("L1CTile", "GEN_ORTHO_TOA", "VECTOR", ["L1B/GEO1B_FINALIZE", "L1A/RADIO_FINALIZE"]),
        ("L1CTile", "GEN_ORTHO_TOA", "FRAME_FILE", ["L1A/UPDATE_LOC"]),
        ("L1CTile", "TILE_FINALIZE", "VECTOR_DS_FOOTPRINT", ["L1B/FORMAT_METADATA_DS_L1B"]),
        (
            "L1CTile",
            "FORMAT_METADATA_TILE_L1C",
            "PDI_DS_TILE_LIST",
            ["L1CTile/MASK_S2", "L1CTile/TILE_INIT", "L1CTile/FORMAT_IMG_PVI_TCI", "L1CTile/FORMAT_IMG_L1C"],
        ),
        ("OLQC_L1CDS", "FORMAT_METADATA_DS_L1C", "GRI_LIST_FILE", ["L1A/GET_GRI"]),
        ("OLQC_L1CDS", "FORMAT_METADATA_DS_L1C", "PDI_DS", ["L1B/GET_TILE_LIST"]),
    ],
)
def test_inputs_come_from_the_tasks_that_the_mapping_names(
    mode: str, task: str, file_type: str, producers: list[str]
) -> None:
    assert _feeds(mode, task, file_type) == producers


def _parameters(mode: str, task: str, *names: str) -> list[tuple[str, ...]]:
    return [
        tuple(process.order.parameters[name] for name in names)
        for process in _all()[mode].processes()
        if process.task == task
    ]


def test_parts_of_tasks_cover_the_whole_once() -> None:
    parts = _parameters("L0", "FORMAT_ISP", "PARALLEL_DETECTOR_IDENT", "PARALLEL_GRANULE_BEGIN", "PARALLEL_GRANULE_END")
    ranges = [("001", "004"), ("005", "008"), ("009", "012"), ("013", "016")]
    assert sorted(parts) == sorted((f"{d:02d}", *r) for d in range(1, 13) for r in ranges)
    fragments = ("PARALLEL_ATF_BEGIN_GRANULE", "PARALLEL_ATF_END_GRANULE", "PARALLEL_ATF_DETECTOR_IDENT")
    assert Counter(_parameters("L1A", "DECOMP", "PARALLEL_BAND_IDENT")) == {(f"B{b:02d}",): 24 for b in range(13)}
    assert set(_parameters("L1A", "RADIO_AB", *fragments)) == {
        (*r, f"{d:02d}") for d in range(1, 13) for r in (("001", "008"), ("009", "016"))
    }
    assert _parameters("L1BNoGRI", "GEO1B_FINALIZE", "PARALLEL_DETECTOR_IDENT", "PARALLEL_BAND") == [
        (run, "false") for run in ("01-02-03", "04-05-06", "07-08-09", "10-11-12")
    ]
    names = ("MASK_AGGREGATION", "PARALLEL_DETECTOR_IDENT", "PARALLEL_GRANULE_BEGIN", "PARALLEL_GRANULE_END")
    assert _parameters("L1B", "UNFORMAT_GRI", *names) == [
        *(("true", f"{d:02d}", "001", "001") for d in range(1, 13)),
        ("false", "01", "001", "012"),
        ("false", "01", "013", "024"),
    ]
    assert _parameters("L1CTile", "GEN_ORTHO_TOA", "PARALLEL_TILE", "PARALLEL_TILE_IDENT")[0] == ("true", "001")


def test_fragments_of_formatting_name_the_first_detector() -> None:
    names = ("PARALLEL_ATF_DETECTOR_IDENT", "PARALLEL_GRANULE", "PARALLEL_ATF")
    assert set(_parameters("L1AFormatGR", "FORMAT_IMG_L1A", *names)) == {("01", "false", "true")}


def test_a_task_is_told_common_parameters_first_then_its_own_in_order() -> None:
    order = _first("L0", "INIT_LOC_L0").order
    assert dict(order.parameters) == {
        "TRACE": "false",
        "VALIDATE_SCHEMA": "false",
        "SAD_DATA_INGESTION": "true",
        "IERS_DATA_INGESTION": "true",
        "ANCILLARY_COMPUTATION": "true",
        "GRANULE_FOOTPRINT_COMPUTATION": "true",
        "PROCESSING_BASELINE": "04.00",
        "PROCESSING_CENTER": "REFS",
        "CREATION_DATE": "2022-11-24T16:36:50Z",
        "FAKE_MODE": "false",
    }
    assert list(order.parameters)[:3] == ["TRACE", "VALIDATE_SCHEMA", "SAD_DATA_INGESTION"]
    assert order.sensing_time == ("20221011T064025", "20221011T064119")
    assert (order.processor_name, order.acquisition_station, order.processing_station) == ("L0", "SGS_", "REFS")


def test_the_mode_the_table_and_its_options_win_in_that_order() -> None:
    assert _parameters("L1CTile", "MASK_S2", "LAND_WATER_MASKS_PROCESS") == [("false",)]
    assert _parameters("L1A", "QL_CLOUD_MASK", "NOMINAL_SCENARIO", "REPROCESSING_SCENARIO") == [("false", "true")]
    # an option that is no parameter of the task's interface is not passed on
    table = SCHEME.table("L1CTile")
    task = replace(table.pools[0].tasks[0], options=(Option("CREATION_DATE", "never"), Option("NO_SUCH", "x")))
    pools = (replace(table.pools[0], tasks=(task,)), *table.pools[1:])
    history = _all()["L1B"].history
    (process,), _ = expand_pool(SCHEME, run_of(SCHEME, "L1CTile"), replace(table, pools=pools), 0, FACTS, history)
    assert process.order.parameters["CREATION_DATE"] == "never"
    assert "NO_SUCH" not in process.order.parameters


def _inputs(order: JobOrder) -> dict[str, tuple[str, ...]]:
    return {i.file_type: i.names for i in order.tasks[0].inputs}


def test_the_orchestrator_s_layout() -> None:
    process = _first("L0", "INIT_LOC_L0")
    inputs = _inputs(process.order)
    assert inputs["PDI_DS"] == ("/work/L0/INIT_LOC_L0/input/PDI_DS",)
    assert len(inputs["GIP_VIEDIR"]) == 13
    assert inputs["GIP_VIEDIR"][4] == "/work/L0/INIT_LOC_L0/input/S2B_OPER_GIP_VIEDIR_B04.xml"
    assert inputs["IDP_INFOS"] == ("/work/L0/IDP_INFOS/idp_infos.xml",)
    assert inputs["WORKING"] == (f"/work/L0/INIT_LOC_L0/tmp_{process.number}",)
    assert process.order.output("PDI_DS") == "/work/L0/INIT_LOC_L0/output/PDI_DS"
    assert process.order.output("REPORT") == f"/work/L0/INIT_LOC_L0/REPORT_{process.number}/report.xml"
    assert process.order_path == f"/work/L0/INIT_LOC_L0/JobOrder_INIT_LOC_L0_{process.number}.xml"
    assert _first("L1A", "UPDATE_LOC").order.output("FRAME_FILE") == (
        "/work/L1A/UPDATE_LOC/output/FRAME_FILE/frame_file.xml"
    )
    assert _inputs(_first("L1A", "DECOMP").order)["FRAME_FILE"] == ("/work/L1A/DECOMP/input/frame_file.xml",)
    tie_points = _first("L1B", "TP_FILTER")
    assert _inputs(tie_points.order)["HOMOLOG_POINTS_LIST"] == (
        "/work/L1B/TP_FILTER/input/HOMOLOG_POINTS_LIST/GCP_POINTS",
    )
    assert tie_points.order.output("HOMOLOG_POINTS_LIST") == "/work/L1B/HOMOLOG_POINTS_LIST/GCP_POINTS"
    assert _inputs(_first("L1A", "RADIO_AB").order)["GIP_R2EQOB"] == (
        "/work/L1A/RADIO_AB/input/S2B_OPER_GIP_R2EQOB_B00.xml",
    )


def test_gipp_files_are_found_by_the_type_in_their_names() -> None:
    bands = [f"/aux/S2IPF-GIPP/S2B_OPER_GIP_R2EOB2_MPC__20170512_B{band:02d}.xml" for band in range(13)]
    others = [
        "/aux/S2IPF-GIPP/S2B_OPER_GIP_PROBAS_MPC__1_B00.xml",
        "/aux/S2IPF-GIPP/S2B_OPER_GIP_OLQCPA_MPC__1_B00.zip",
    ]
    found = gipp_sources(SCHEME, [*reversed(bands), *others, "/aux/S2IPF-GIPP/readme.txt"])
    assert found == {"GIP_R2EQOB": tuple(bands), "GIP_PROBAS": (others[0],), "GIP_OLQCPA": (others[1],)}


def test_versions_are_those_of_the_baseline_or_of_the_operator() -> None:
    assert _first("L1B", "SPATIO").order.tasks[0].version == "06.01.01"
    assert _first("L1A", "DECOMP").order.tasks[0].version == "06.01.00"
    run = replace(run_of(SCHEME, "L0"), versions={"INIT_LOC_L0": "06.02.00"})
    assert expand(SCHEME, run, FACTS).pools[0][0].order.tasks[0].version == "06.02.00"


def test_quality_control_looks_at_every_product_once() -> None:
    looked_at = [name for process in _all()["OLQC_L0GR"].pools[0] for name in _inputs(process.order)["PDI_SAFE"]]
    assert len(looked_at) == len(set(looked_at)) == 192
    assert {process.order.tasks[0].name for process in _all()["OLQC_L0GR"].pools[0]} == {"OLQC"}
    inventory = [name for process in _all()["OLQC_L0GR"].then for name in _inputs(process.order)["L0_GR"]]
    assert sorted(name.rpartition("/")[2] for name in inventory) == sorted(name.rpartition("/")[2] for name in GRANULES)
    (tile, inventory_of_tile) = _all()["L1CTile"].then
    assert _inputs(tile.order)["PDI_SAFE"] == (
        f"/work/L1CTile/FORMAT_METADATA_TILE_L1C/output/PDI_DS_TILE_LIST/{TILE}",
    )
    assert [link.targets[0].split("/")[3] for link in tile.links] == ["FORMAT_IMG_PVI_TCI", "FORMAT_IMG_L1C"]
    assert inventory_of_tile.order.parameters["SENSING_START"] == "2022-10-11T06:40:25.000Z"
    assert inventory_of_tile.order.tasks[0].outputs == ()
    datastrip = _first("OLQC_L1BDS", "INV_MTD_L1B_DS").order
    assert _inputs(datastrip)["DS"] == (f"/work/L1B/FORMAT_METADATA_DS_L1B/output/PDI_DS/{DATASTRIP}",)
    assert _inputs(datastrip)["GLOBAL_FOOTPRINT_AI_GML"][0].endswith(
        "UPDATE_LOC/output/VECTOR_DS_FOOTPRINT/GlobalFootprintAI.gml"
    )


def test_fewer_products_than_instances_make_no_idle_process() -> None:
    facts = replace(FACTS, granule_names=GRANULES[:3], instances=8)
    expansion = expand(SCHEME, run_of(SCHEME, "OLQC_L0GR"), facts, _all()["L0"].history)
    assert _counts(expansion) == [{"OLQC_GR_L0": 3}, {"INV_MTD_L0_GR": 3}]


def test_several_data_blocks_are_split_each_by_its_own_size() -> None:
    facts = replace(FACTS, granules={"001": 16, "002": 3})
    pools = expand(SCHEME, run_of(SCHEME, "L0"), facts).pools
    isp = [
        p.order.parameters
        for p in pools[0]
        if p.task == "FORMAT_ISP" and p.order.parameters["PARALLEL_DETECTOR_IDENT"] == "05"
    ]
    assert [(p["DATABLOCK_NUMBER"], p["PARALLEL_GRANULE_BEGIN"], p["PARALLEL_GRANULE_END"]) for p in isp] == [
        ("001", "001", "004"),
        ("001", "005", "008"),
        ("001", "009", "012"),
        ("001", "013", "016"),
        ("002", "001", "001"),
        ("002", "002", "002"),
        ("002", "003", "003"),
    ]
    assert len(pools[1]) == 2 * 60


def test_segments_and_reference_images_multiply_the_processes_of_level_1b() -> None:
    facts = replace(FACTS, segments=3, gri_images=1)
    pools = expand(SCHEME, run_of(SCHEME, "L1B"), facts, _all()["L1A"].history).pools
    assert [len(pool) for pool in pools[1:4]] == [13, 72, 36]
    numbers = {p.order.parameters["PARALLEL_V_ATF_NUMBER"] for p in pools[3]}
    assert numbers == {"0001", "0002", "0003"}


@pytest.mark.parametrize(
    ("mode", "missing", "named"),
    [
        ("L0", {"granules": {}}, "FORMAT_ISP.*FRAME_FILE"),
        ("L1B", {"segments": None}, "RESAMPLE_TO_VS.*SEGMENTATION_FILE"),
        ("L1B", {"gri_images": None}, "UNFORMAT_GRI.*GRI_LIST_FILE"),
        ("OLQC_L0GR", {"granule_names": ()}, "granule products"),
        ("L1CTile", {"sensing": {}}, "sensing time of tile"),
    ],
)
def test_what_earlier_tasks_have_not_written_yet_is_waited_for(
    mode: str, missing: dict[str, object], named: str
) -> None:
    before = BEFORE[mode]
    history = _all()[before].history if before else ()
    with pytest.raises(NotReadyError, match=named):
        expand(SCHEME, run_of(SCHEME, mode), replace(FACTS, **missing), history)  # type: ignore[arg-type]


def test_a_mode_without_the_one_before_it_is_not_ready() -> None:
    with pytest.raises(NotReadyError, match="INIT_VS_GEO, input PDI_DS"):
        expand(SCHEME, run_of(SCHEME, "L1B"), FACTS)
    run, table = run_of(SCHEME, "L1A"), SCHEME.table("L1A")
    _, history = expand_pool(SCHEME, run, table, 0, FACTS, ())
    with pytest.raises(NotReadyError, match="DECOMP, input PDI_GR_LIST: UPDATE_LOC has not written PDI_DS_GR_LIST"):
        expand_pool(SCHEME, run, table, 4, FACTS, history)


def test_no_reference_image_is_not_for_this_mode() -> None:
    with pytest.raises(BadInputError, match=r"UNFORMAT_GRI.*reference images.*at least one"):
        expand(SCHEME, run_of(SCHEME, "L1B"), replace(FACTS, gri_images=0), _all()["L1A"].history)


def test_what_is_not_configured_is_named() -> None:
    with pytest.raises(ConfigurationError, match="mode L9"):
        expand(SCHEME, replace(run_of(SCHEME, "L0"), mode="L9"), FACTS)
    without = {name: paths for name, paths in sources(SCHEME).items() if name != "GIP_BLINDP"}
    with pytest.raises(ConfigurationError, match="mode L0, task INIT_LOC_L0: no source is given for GIP_BLINDP"):
        expand(SCHEME, replace(run_of(SCHEME, "L0"), sources=without), FACTS)
    table = SCHEME.table("L0")
    unknown = replace(table.pools[0], tasks=(replace(table.pools[0].tasks[0], name="NO_SUCH_TASK"),))
    with pytest.raises(ConfigurationError, match="NO_SUCH_TASK"):
        expand(SCHEME, run_of(SCHEME, "L0"), FACTS, (), replace(table, pools=(unknown,)))


def test_outputs_that_a_mode_keeps_to_itself_reach_no_later_one() -> None:
    made = {(m.task, m.file_type) for m in _all()["L1A"].history}
    assert ("RADIO_AB", "VECTOR") not in made
    assert ("RADIO_AB", "PDI_ATF_LIST") in made


def test_pool_by_pool_is_the_same_as_at_once() -> None:
    """As it is done at run time: a pool's facts are read when the ones before it have ended."""
    run, table = run_of(SCHEME, "L1A"), SCHEME.table("L1A")
    history: History = ()
    pools = []
    for index in range(len(table.pools)):
        # the frame file is there from pool 5 on
        facts = FACTS if index >= 4 else replace(FACTS, granules={})
        pool, history = expand_pool(SCHEME, run, table, index, facts, history)
        pools.append(pool)
    assert tuple(pools) == _all()["L1A"].pools
