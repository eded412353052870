"""Do the processor sets of a strategy go together? What is known of that before any session runs under it.

A rule on parts of a session may give work to another set than the session's own. Where the step stands elsewhere in
that one's graph, or what it works on is not made, the work would be parked (``shared.workflow.mixing``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from shared.domain.strategy import Condition, Rule, Strategy
from shared.workflow.granules import GRANULES
from shared.workflow.graph import Step, Workflow
from shared.workflow.mixing import clash

_LISTS: Final = ("satellites", "stations", "classes")


def disagreements(strategy: Strategy, sets: Mapping[str, Workflow], default: Workflow) -> Iterator[str]:
    """What would park work, a sentence each; none where the sets go together.

    ``sets``: those that rules name, as far as they could be read; others are not looked at. ``default``: the set of the
    settings.
    """
    for number, rule in enumerate(strategy.rules):
        name = rule.then.processor_set or ""
        if name not in sets or not rule.when.of_parts:
            continue
        for own in _own_sets(strategy, number, sets, default):
            if own is not sets[name]:
                for wrong in _between(rule, own, sets[name]):
                    yield f"rule {rule.name}, processor_set {name}, in sessions of set {own.set_name}: {wrong}"


def _own_sets(strategy: Strategy, number: int, sets: Mapping[str, Workflow], default: Workflow) -> Iterator[Workflow]:
    """The sets of sessions in which the rule of this number may decide: that a rule below it decides, or the default.

    Where one above it decides of a whole session, it decides of its parts too.
    """
    rule, wholes = strategy.rules[number], [(n, each) for n, each in enumerate(strategy.rules) if _decides_whole(each)]
    if any(n < number and not each.when.model_fields_set for n, each in wholes):
        return
    for n, each in wholes:
        if n < number or not _meet(rule.when, each.when):
            continue
        name = each.then.processor_set or ""
        if name in sets:
            yield sets[name]
        if not each.when.model_fields_set:
            return
    yield default


def _decides_whole(rule: Rule) -> bool:
    return rule.then.processor_set is not None and not rule.when.of_parts


def _meet(one: Condition, other: Condition) -> bool:
    """Whether both may hold of one session."""
    for name in _LISTS:
        wanted, also = getattr(one, name), getattr(other, name)
        if wanted and also and set(wanted).isdisjoint(also):
            return False
    ends = ((one.since, other.until), (other.since, one.until))
    return not any(since is not None and until is not None and since >= until for since, until in ends)


def _between(rule: Rule, own: Workflow, other: Workflow) -> Iterator[str]:
    theirs = [step for step in own.steps if _may_hold(rule.when, own, step)]
    names = {step.name for step in theirs}
    for step in theirs:
        if wrong := clash(own, other, step):
            yield wrong
        else:
            yield from _lacking(step, other, {source: other if source in names else own for source in step.after})
    for step in own.steps:
        if step.name not in names and _is_asked(rule.when, own, step):
            made_by = {source: other if source in names else own for source in step.after}
            yield from _lacking(step, own, made_by)


def _lacking(step: Step, taker: Workflow, made_by: Mapping[str, Workflow]) -> Iterator[str]:
    """What ``taker``'s processor of a step cannot do without, and the sets before it do not make."""
    for needed in taker.processors[step.name].inputs:
        maker = made_by.get(needed.source)
        if needed.source == "session" or maker is None or not needed.mandatory:
            continue
        processor = maker.processors.get(needed.source)
        if processor is not None and needed.artifact not in {output.artifact for output in processor.outputs}:
            yield (
                f"{step.name} of set {taker.set_name} cannot do without {needed.artifact}, which {needed.source} of "
                f"set {maker.set_name} does not make"
            )


def _is_asked(when: Condition, own: Workflow, step: Step) -> bool:
    """Whether a step is asked for of any of the types of datatakes that a condition is about."""
    return not when.datatake_types or any(own.datatakes.asks_for(each, step.serves) for each in when.datatake_types)


def _may_hold(when: Condition, own: Workflow, step: Step) -> bool:
    """Whether a condition may hold of the work of a step, by what is known when that is planned."""
    if (when.steps and step.name not in when.steps) or (when.levels and step.level not in when.levels):
        return False
    if when.tiles and own.unit(step.name) != "tile":
        return False
    if (when.relative_orbits or when.datatake_types or when.area is not None) and step.level == "L0":
        return False
    if not _is_asked(when, own, step):
        return False
    makers = [own.processors[source] for source in step.after if source != "session"]
    counted = any(output.artifact == GRANULES for maker in makers for output in maker.outputs)
    return when.scenes_from is None or counted
