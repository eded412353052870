from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.tasktable import load_scheme, read_task_table
from shared.tasktable.model import Task
from shared.tasktable.scheme import kind_of

SCHEME = load_scheme()
PACKAGED = Path(__file__).parents[4] / "shared" / "tasktable" / "chain"


def _essence(task: Task) -> tuple[object, ...]:
    """A task without its version, its report, and the order of inputs and outputs, which no processor depends on."""
    return (
        task.name,
        task.file_name,
        task.critical,
        task.criticality_level,
        Counter(
            (i.alternative.file_type, i.alternative.origin, i.alternative.file_name_type, i.alternative.retrieval_mode)
            for i in task.inputs
        ),
        Counter((o.file_type, o.destination, o.file_name_type) for o in task.outputs if o.file_type != "REPORT"),
        {option.name: option.value for option in task.options},
    )


def test_the_tables_of_the_chain_are_those_of_the_reference(real_data: Path) -> None:
    paths = sorted((real_data / "task_tables" / "6.1").glob("TaskTable_*.xml"))
    assert {path.stem.removeprefix("TaskTable_") for path in paths} == set(SCHEME.modes)
    for path in paths:
        theirs, ours = read_task_table(path), SCHEME.table(path.stem.removeprefix("TaskTable_"))
        assert ours.sensing_time_flag == theirs.sensing_time_flag
        assert [p.killing_signal for p in ours.pools] == [p.killing_signal for p in theirs.pools]
        assert [[_essence(t) for t in p.tasks] for p in ours.pools] == [
            [_essence(t) for t in p.tasks] for p in theirs.pools
        ]


def test_every_task_has_parameters_and_every_producer_is_a_task() -> None:
    tasks = {task.base_name for mode in SCHEME.modes for pool in SCHEME.table(mode).pools for task in pool.tasks}
    assert {task for task in tasks if not task.startswith("OLQC")} == set(SCHEME.parameters) - {"COMMON"}
    for consumer, inputs in SCHEME.producers.items():
        assert consumer in tasks | {"Inventory"}
        for producers in inputs.values():
            assert {name for p in producers for names in p.tasks for name in names.split("|")} <= tasks


def test_the_kind_of_a_type_is_marked() -> None:
    assert [kind_of(text) for text in ("PDI_DS", "FRAME_FILE*", "GIP_L2ACSC!")] == [
        ("PDI_DS", "Directory"),
        ("FRAME_FILE", "Physical"),
        ("GIP_L2ACSC", "File"),
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("scheme.yaml", "chain: L0\n", "chain: L0\n    colour: red\n", "modes, L0, colour"),
        ("scheme.yaml", "BAND_QL: 5", "BAND_QL: 0", "modes, L0, partitions, BAND_QL"),
        ("scheme.yaml", "BAND_QL: 5", "BANDS: 5", "modes, L0, partitions, BANDS"),
        ("scheme.yaml", "after: [L0]", "after: [L7]", "OLQC_L0DS, after: no mode L7"),
        ("scheme.yaml", "call: GSE", "call: GES", "modes, L0: no call GES"),
        ("scheme.yaml", 'GPS_UTC: "-18", TRACE', 'GPS_UCT: "-18", TRACE', "modes, L0, parameters: no task has GPS_UCT"),
        ("scheme.yaml", "{LAND_WATER_MASKS_PROCESS", "{LAND_MASKS", "task_parameters, MASK_S2: it has no LAND_MASKS"),
        ("scheme.yaml", "parameters:\n  COMMON", "parameters:\n  SHARED", "COMMON"),
        ("tables.yaml", "OLQC_L0DS:", "OLQC_L0XX:", "tables: none for mode OLQC_L0DS"),
        ("tables.yaml", "task: INIT_LOC_L0", "tusk: INIT_LOC_L0", "tables, L0, 0, 0, task"),
        ("calls.yaml", "task: GSE", "task: [GSE]", "calls, GSE, task"),
        ("calls.yaml", "GSE:", "\t", "calls.yaml: expected a readable YAML file"),
    ],
)
def test_a_wrong_chain_is_refused_with_file_or_field(file: str, old: str, new: str, named: str, tmp_path: Path) -> None:
    folder = tmp_path / "chain"
    shutil.copytree(PACKAGED, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError, match=named):
        load_scheme(folder)


def test_a_chain_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"scheme\.yaml"):
        load_scheme(tmp_path)
    (tmp_path / "scheme.yaml").write_text("- a list\n")
    with pytest.raises(ConfigurationError, match=r"scheme\.yaml: expected a mapping, found list"):
        load_scheme(tmp_path)
