"""Failure modes of configuration, traces and rights: docs/failure-modes.md has the list."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import yaml

from shared.adapters.memory import MemoryStore
from shared.bootstrap import SystemClock
from shared.errors import ConfigurationError
from shared.ledger.ledger import Ledger
from shared.ledger.records import Outcome, Published
from shared.strategy.shelf import StrategyShelf
from shared.telemetry import session_context
from shared.workflow.graph import load_workflow
from tests.support.house import BASE
from tests.support.network import Peer, may_reach
from tests.support.played import build
from tests.support.standin import SESSION

HERE: Final = Path(__file__).parent
MODES: Final = 30


def test_failure_mode_19_what_is_configured_is_kept_to_the_byte_and_read_strictly(tmp_path: Path) -> None:
    """Longer: tests/unit/eventing/test_manifests.py, tests/unit/knative, tests/unit/shared/workflow/test_graph.py."""
    odd = "# a pattern that a careless writer would spoil: S2.*[A-D]{1,2}\\.raw$"
    text = f"name: mine\n{odd}\nrules:\n  - {{name: one, then: {{priority: 3}}}}\n"
    clock = SystemClock()
    shelf = StrategyShelf(Ledger(MemoryStore(clock), "s2-ledger", clock))
    active = shelf.activate(text, who="ada", reason="a test", now=datetime(2026, 11, 22, tzinfo=UTC))
    assert shelf.document(active.version) == text
    # A pattern of a processor set is what its file says, and a word that is none of the model's is refused.
    source = HERE.parents[1] / "shared" / "workflow" / "processors" / "esa.yaml"
    found = {
        o.harvest.pattern for p in load_workflow("esa").processors.values() for o in p.outputs if o.harvest.pattern
    }
    written = source.read_text(encoding="utf-8")
    assert found
    assert [pattern for pattern in found if pattern not in written] == []
    wrong = tmp_path / "set.yaml"
    wrong.write_text(written.replace("time_limit_s: 7200", "time_limits: 7200", 1))
    with pytest.raises(ConfigurationError, match="time_limit"):
        load_workflow(str(wrong))


def test_failure_mode_26_every_product_has_its_place_in_the_trace_of_its_session() -> None:
    """Longer: tests/unit/shared/telemetry, ``s2ps trace``, tests/e2e/test_demo.py."""
    made = build()
    made.run()
    trace = session_context(SESSION).trace_id
    ledger, bucket = made.services.ledger, made.settings.bucket_ledger
    products = [ledger.read(info.key, Published) for info in made.memory.list(bucket, "products/")]
    assert len(products) == 7
    for product in products:
        assert product.traceparent.split("-")[1] == trace
        outcomes = [
            ledger.read(info.key, Outcome)
            for info in made.memory.list(bucket, f"sessions/{SESSION}/work/{product.step}/{product.unit}/")
            if info.key.endswith("/outcome.json")
        ]
        assert [outcome.attempt for outcome in outcomes] == [1]
        assert product.provenance["work"] in "".join(
            info.key for info in made.memory.list(bucket, f"sessions/{SESSION}/work/{product.step}/")
        )
    for info in made.memory.list(bucket, f"sessions/{SESSION}/"):
        head = made.memory.head(bucket, info.key)
        assert head is not None
        if "traceparent" in head.metadata:
            assert head.metadata["traceparent"].split("-")[1] == trace


def test_failure_mode_30_whoever_was_not_planned_reaches_nobody_and_images_hold_no_secret() -> None:
    """Longer: tests/unit/knative (network, rights, pods, by rendered overlays), tests/integration/test_images.py."""
    documents = [
        document
        for path in sorted(BASE.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document
    ]
    policies = [
        {**each, "metadata": {**each["metadata"], "namespace": "s2ps"}}
        for each in documents
        if each["kind"] == "NetworkPolicy"
    ]
    intruder, outside = Peer("s2ps", {"app": "shell"}), Peer("")
    for port in (80, 443, 6443, 8012, 8333):
        assert not may_reach(policies, intruder, outside, port)
        assert not may_reach(policies, Peer("default", {"app": "shell"}), intruder, port)
    assert not [each for each in documents if each["kind"] == "Secret"]
    rights = [rule for each in documents if each["kind"] in {"Role", "ClusterRole"} for rule in each["rules"]]
    assert rights
    for rule in rights:
        assert "*" not in rule["verbs"] + rule["resources"] + rule.get("apiGroups", [])
        assert "secrets" not in rule["resources"]
    anonymous = [each for each in documents if "Binding" in each["kind"] and "system:anonymous" in str(each)]
    assert not anonymous


def test_each_failure_mode_has_a_test_with_its_number_and_a_line_in_the_list() -> None:
    tests = {
        int(number)
        for path in HERE.glob("test_*.py")
        for number in re.findall(r"def test_failure_mode_(\d\d)_", path.read_text(encoding="utf-8"))
    }
    assert tests == set(range(1, MODES + 1))
    listed = (HERE.parents[1] / "docs" / "failure-modes.md").read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", listed, re.MULTILINE)] == list(range(1, MODES + 1))
    # What the list names is there.
    for path in re.findall(r"`(tests/[\w/]+\.py)`", listed):
        assert (HERE.parents[1] / path).is_file(), path
