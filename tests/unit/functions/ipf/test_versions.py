"""The sets name the versions that the open processors say of themselves: a work item is named by them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from shared.workflow.graph import load_workflow

PROGRAMS = {
    "l0u": "functions.ipf.l0u.main",
    "l0c": "functions.ipf.l0c.main",
    "l1b": "functions.ipf.l1b.process",
    "l1c": "functions.ipf.l1c.process",
    "l2a": "functions.ipf.l2a.process",
}
KIND = Path(__file__).resolve().parents[4] / "knative" / "overlays" / "kind" / "processors" / "open-small.yaml"


@pytest.mark.parametrize("processors", ["open", str(KIND)])
def test_each_version_is_the_programs_own(processors: str) -> None:
    workflow = load_workflow(processors)
    named = {step: processor.version for step, processor in workflow.processors.items()}
    assert named == {step: import_module(module).VERSION for step, module in PROGRAMS.items()}
