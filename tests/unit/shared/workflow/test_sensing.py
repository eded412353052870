"""When the data of a unit were sensed: from attributes, facts, names, or for want of them the downlink."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.ledger.provision import UnitFacts
from shared.ledger.records import Artifact, ArtifactRef, Complete, Order, Outcome
from shared.workflow.granules import last_sensed
from shared.workflow.plan import Source
from shared.workflow.sensing import unit_facts

SESSION = "S2B_20220413132241026648"
T0 = datetime(2022, 4, 13, 13, 40, tzinfo=UTC)
STOP = datetime(2022, 4, 13, 13, 31, tzinfo=UTC)
GRANULE = "S2B_OPER_MSI_L0__GR_SGS__20220413T140000_S20220413T{}_D01_N02.08"
COMPLETE = Complete(created=T0, session=SESSION, station="SGS_", satellite="S2B", t0=T0, pass_stop=STOP, files=())


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2022, 4, 13, hour, minute, second, tzinfo=UTC)


def artifact(name: str, **attributes: str) -> Artifact:
    return Artifact(
        file_type="PDI_DS", name=name, bucket="b", prefix="p/", digest="1" * 64, size=1, attributes=attributes
    )


def facts(*artifacts: Artifact, taken: int | None = None, **known: str) -> UnitFacts:
    """Of an order that takes the first ``taken`` of these (all)."""
    outcome = Outcome(
        created=T0, step="l0c", unit="DT1", attempt=1, status="succeeded", started=T0, finished=T0, outputs=artifacts
    )
    refs = [ArtifactRef(file_type="PDI_DS", outcome="o", name=a.name, digest=a.digest) for a in artifacts]
    order = Order(
        created=T0,
        session=SESSION,
        step="l1a",
        unit="DT1",
        digest="0" * 64,
        processor="P",
        version="1",
        inputs=tuple(refs[:taken]),
        parameters={},
        facts=known,
        t0=T0,
        deadline=T0,
    )
    return unit_facts(order, [Source("o", outcome, SESSION)], COMPLETE)


def outcome(*artifacts: Artifact) -> Outcome:
    return Outcome(
        created=T0, step="l0c", unit="DT1", attempt=1, status="succeeded", started=T0, finished=T0, outputs=artifacts
    )


def test_the_last_sensing_is_that_of_images() -> None:
    """Telemetry goes on for some seconds after the last image, and is not what a product is of."""
    granules = [GRANULE.format(f"1200{second:02d}") for second in (0, 7, 3)]
    named = [artifact(name).model_copy(update={"file_type": "PDI_DS_GR_LIST"}) for name in granules]
    telemetry = artifact("sad", sensing_stop="2022-04-13T12:30:00Z").model_copy(update={"file_type": "AUX_SADATA"})
    assert last_sensed(outcome(*named, telemetry)) == at(12, 0, 7) + timedelta(seconds=3.608)
    strip = artifact("ds", sensing_stop="2022-04-13T12:00:10Z")
    assert last_sensed(outcome(*named, telemetry, strip)) == at(12, 0, 10)
    assert last_sensed(outcome(telemetry, artifact("x"))) is None


def test_the_attributes_of_the_inputs_span_the_time() -> None:
    found = facts(
        artifact("a", sensing_start="2022-04-13T12:00:00.5Z", sensing_stop="2022-04-13T12:01:00Z"),
        artifact("b", sensing_start="2022-04-13T12:00:30", sensing_stop="2022-04-13T12:02:00.123456789Z"),
        sensing_start="2022-04-13T01:00:00Z",
    )
    assert found.start == at(12, 0).replace(microsecond=500_000)
    assert found.stop == at(12, 2).replace(microsecond=123456)
    assert (found.satellite, found.station, found.note) == ("S2B", "SGS_", "")


def test_an_output_that_is_no_input_does_not_count() -> None:
    found = facts(
        artifact("a", sensing_start="2022-04-13T12:00:00Z"),
        artifact("b", sensing_start="2022-04-13T01:00:00Z"),
        taken=1,
    )
    assert found.start == found.stop == at(12, 0)


def test_then_the_facts_then_the_names() -> None:
    named = [artifact(GRANULE.format(stamp)) for stamp in ("120010", "120020")]
    found = facts(*named, sensing_start="2022-04-13T12:00:00Z", sensing_stop="2022-04-13T12:01:00Z")
    assert (found.start, found.stop) == (at(12, 0), at(12, 1))
    found = facts(*named)
    assert (found.start, found.stop, found.note) == (at(12, 0, 10), at(12, 0, 20), "")


def test_where_nothing_tells_it_is_the_downlink_and_the_note_says_so() -> None:
    found = facts(artifact("DT35", sensing_start="soon"))
    assert (found.start, found.stop) == (at(13, 22, 41), at(13, 31))
    assert "downlink" in found.note


def test_raw_data_are_of_the_downlink_without_a_note() -> None:
    order = Order(
        created=T0, session=SESSION, step="l0u", unit=SESSION, digest="0" * 64, processor="P", version="1", inputs=(),
        parameters={}, t0=T0, deadline=T0,
    )  # fmt: skip
    found = unit_facts(order, [Source("c", COMPLETE, SESSION)], COMPLETE)
    assert (found.start, found.stop, found.note) == (at(13, 22, 41), at(13, 31), "")
    beside = order.model_copy(update={"session": f"{SESSION}-2", "unit": f"{SESSION}-2"})
    assert unit_facts(beside, [Source("c", COMPLETE, f"{SESSION}-2")], COMPLETE) == found
