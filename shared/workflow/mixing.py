"""Several processor sets within one session: what a rule gives to another set must have the same place in its graph.

A session has the graph of its own set. Where a rule of its strategy gives some work to another one, that one binds its
processor to it: command, version, baseline, inputs, outputs, what it needs, and whether it runs at all
(``minimum_scenes``, ``gaps``). Its ``split`` does not count: a datastrip is cut once.
"""

from __future__ import annotations

from shared.domain.strategy import Decided
from shared.workflow.graph import Step, Workflow


def misfit(workflow: Workflow, step: Step, decided: Decided) -> str:
    """Why work of ``step`` cannot be done by the set that it was given to; empty where it can."""
    other = workflow.binding(decided)
    wrong = "" if other is workflow else clash(workflow, other, step)
    if not wrong:
        return ""
    rule, name = decided.by["processor_set"], decided.decision.processor_set
    return f"rule {rule} of strategy {workflow.ruling.name} gives {step.name} to processor set {name}: {wrong}"


def fitting(workflow: Workflow, step: Step, decided: Decided) -> Workflow:
    """The set that work of ``step`` was given to, where that can do it; else the session's own."""
    return workflow if misfit(workflow, step, decided) else workflow.binding(decided)


def clash(own: Workflow, other: Workflow, step: Step) -> str:
    """What keeps ``other`` from a step of a session that has the graph of ``own``; empty where nothing does.

    The shared volumes are those of the session's own set, at each step: so whatever the steps before it were bound to,
    their folders are where it looks for them.
    """
    found = next((each for each in other.steps if each.name == step.name), None)
    if found is None:
        return f"it has no processor for {step.name}"
    if found.after != step.after:
        return f"there {step.name} comes after {', '.join(found.after)}, and here after {', '.join(step.after)}"
    units = other.unit(step.name), own.unit(step.name)
    if found.over != step.over or units[0] != units[1]:
        return f"there {step.name} runs on another unit ({units[0]}) than here ({units[1]})"
    here, there = own.processors.get(step.name), other.processors[step.name]
    if here is None:
        return f"the session's own set has no processor for {step.name}"
    if there.shared != here.shared:
        return f"there {step.name} has another shared volume than here"
    for source in dict.fromkeys(link.source for link in there.links):
        if own.processors[source].shared != there.shared:
            return f"its {step.name} looks for files of {source} on a shared volume which that has not here"
    return ""
