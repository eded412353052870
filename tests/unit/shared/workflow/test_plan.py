from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.joborder import format_job_order, parse_job_order
from shared.ledger import keys
from shared.ledger.records import Artifact, Complete, Outcome, SessionChunk
from shared.workflow.graph import Workflow, load_workflow
from shared.workflow.orders import make_job_order, make_order
from shared.workflow.plan import Ready, Skipped, Source, tree_digest
from shared.workflow.walk import next_work

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
OPEN = load_workflow("open")
SESSION = "S2A_20261122100000000123"


def complete(sha: str = "a" * 64) -> Complete:
    chunk = SessionChunk(name="n", key="k", channel=1, size=1, sha256=sha)
    return Complete(created=NOW, session=SESSION, station="SGS_", satellite="S2A", t0=NOW, files=(chunk,))


def outcome(step: str, unit: str = "DT01", *, status: str = "succeeded", scenes: int = 1, **changes: object) -> Outcome:
    start = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    names = [
        f"S2A_TEST_MSI_L0__GR_S2PS_20261122T100000_S{start + timedelta(seconds=4 * n):%Y%m%dT%H%M%S}_D0{d}_N00.01"
        for n in range(scenes)
        for d in (6, 7)
    ]
    outputs = [("PDI_DS", "S2A_TEST_MSI_L0__DS_S2PS_20261122T100000_S20261122T093000_N00.01")]
    outputs += [("PDI_DS_GR_LIST", name) for name in names]
    outputs += [(kind, kind) for kind in ("PDI_L0U", "L1B_WORKING")]
    return Outcome.model_validate(
        {
            "created": NOW,
            "step": step,
            "unit": unit,
            "attempt": 1,
            "status": status,
            "started": NOW,
            "finished": NOW,
            "outputs": [
                Artifact(file_type=t, name=n, bucket="b", prefix="p/", digest="b" * 64, size=1) for t, n in outputs
            ],
            **changes,
        }
    )


def source(record: Complete | Outcome) -> Source:
    return Source("the-key", record, SESSION)


def test_a_complete_session_readies_its_ingestion_once() -> None:
    (item,) = next_work(OPEN, source(complete()))
    assert isinstance(item, Ready)
    assert (item.step.name, item.unit) == ("l0u", SESSION)


def test_the_same_inputs_give_the_same_work_and_other_inputs_another() -> None:
    digests = [
        item.digest
        for sha in ("a" * 64, "a" * 64, "c" * 64)
        for item in next_work(OPEN, source(complete(sha)))
        if isinstance(item, Ready)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_another_processor_version_is_other_work() -> None:
    newer = OPEN.processors | {"l0u": OPEN.processors["l0u"].model_copy(update={"version": "9"})}
    (old,) = next_work(OPEN, source(complete()))
    (new,) = next_work(OPEN.model_copy(update={"processors": newer}), source(complete()))
    assert isinstance(old, Ready)
    assert isinstance(new, Ready)
    assert old.digest != new.digest


def test_each_datastrip_and_each_tile_is_work_of_its_own() -> None:
    strips = list(next_work(OPEN, source(outcome("l0u", SESSION, units={"datastrip": ("DT01", "DT02")}))))
    tiles = list(next_work(OPEN, source(outcome("l1b", units={"tile": ("32TQM", "32TQL")}))))
    assert [s.unit for s in strips] == ["DT01", "DT02"]
    assert [t.unit for t in tiles] == ["DT01-T32TQM", "DT01-T32TQL"]


def test_nothing_follows_from_a_failure() -> None:
    assert list(next_work(OPEN, source(outcome("l0c", status="failed")))) == []


def _with_minimum(scenes: int) -> Workflow:
    l1b = OPEN.processors["l1b"].model_copy(update={"minimum_scenes": scenes})
    return OPEN.model_copy(update={"processors": OPEN.processors | {"l1b": l1b}})


def test_too_few_scenes_are_left_out_with_the_reason() -> None:
    (item,) = next_work(_with_minimum(4), source(outcome("l0c", scenes=3)))
    assert isinstance(item, Skipped)
    assert item.reason == "3 scenes, l1b needs at least 4"
    (enough,) = next_work(_with_minimum(4), source(outcome("l0c", scenes=4)))
    assert isinstance(enough, Ready)


def test_granules_whose_names_tell_nothing_are_no_scenes() -> None:
    made = outcome("l0c")
    odd = [a.model_copy(update={"name": f"granule-{n}"}) for n, a in enumerate(made.outputs)]
    (item,) = next_work(_with_minimum(4), source(made.model_copy(update={"outputs": tuple(odd)})))
    assert isinstance(item, Skipped)
    assert item.reason == "0 scenes, l1b needs at least 4"


def test_a_scene_has_one_granule_of_each_detector_whatever_its_own_start() -> None:
    """The detectors see a scene one after the other: the starts of its granules differ."""
    stem = "S2A_OPER_MSI_L0__GR_S2PS_20261122T100000_S20261122T0930{:02d}_D{:02d}_N04.00"
    made = outcome("l0c")
    first = made.outputs[0]
    granules = tuple(
        first.model_copy(
            update={"file_type": "PDI_DS_GR_LIST", "name": stem.format(4 * scene + detector // 6, detector)}
        )
        for scene in range(3)
        for detector in range(1, 13)
    )
    (item,) = next_work(_with_minimum(4), source(made.model_copy(update={"outputs": (first, *granules)})))
    assert isinstance(item, Skipped)
    assert item.reason == "3 scenes, l1b needs at least 4"


def test_an_order_is_the_same_whoever_makes_it_and_its_job_order_names_every_input() -> None:
    made = outcome("l0c")
    (item,) = next_work(OPEN, source(made))
    assert isinstance(item, Ready)
    orders = [make_order(OPEN, item, complete(), "t") for _ in range(2)]
    assert orders[0] == orders[1]
    document = parse_job_order(format_job_order(make_job_order(OPEN, orders[0], "SGS_")))
    assert len(document.input_files("PDI_DS_GR_LIST")) == 2
    assert document.parameter("CREATION_DATE") == "20261122T100000"
    assert document.output("TILE_LIST_FILE") == "{base}/outputs/TILE_LIST_FILE/tile_list_file.xml"
    assert orders[0].deadline == NOW + timedelta(minutes=75)


def test_a_tile_is_named_to_its_processor() -> None:
    made = outcome("l1b", units={"tile": ("32TQM",)})
    (item,) = next_work(OPEN, source(made))
    assert isinstance(item, Ready)
    assert make_order(OPEN, item, complete(), "").parameters["TILE"] == "32TQM"


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, 9), st.sampled_from(["a" * 64, "b" * 64])), max_size=5))
def test_a_tree_has_one_digest_in_whatever_order_it_is_listed(files: list[tuple[str, int, str]]) -> None:
    assert tree_digest(files) == tree_digest(files[::-1])


def test_the_name_of_a_job_is_a_dns_label() -> None:
    name = keys.WorkKey(SESSION, "l1c", "DT01-T32TQM", "f" * 64).job_name(12)
    assert len(name) <= 63
    assert name.replace("-", "").isalnum()
    assert name == name.lower()
