"""Models of the processing graph and of a processor set, and their loading from YAML.

``graph.yaml`` says which step follows which, on which unit; a processor set (``processors/open.yaml``, or a file of the
operator's) binds each step to a processor. A set is data: adding one touches no Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from shared.domain.deadlines import BUDGETS
from shared.domain.strategy import Decided, Split
from shared.errors import ConfigurationError
from shared.workflow.datatakes import Datatakes
from shared.workflow.processor import Harvest, Input, Model, Output, Processor, Volume
from shared.workflow.reruns import NONE, Rerun, Reruns, sorted_out
from shared.workflow.ruling import Ruling

__all__ = ["Harvest", "Input", "Output", "Processor", "Step", "Volume", "Workflow", "load_workflow"]

_HERE = Path(__file__).parent
UNITS: Final = ("session", "datastrip", "part", "tile")


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Step(Model):
    """One step of the graph.

    ``after`` names the steps whose outcomes ready it, or ``session``: all of them, on the same unit, or on the
    datastrip of a tile. ``over`` names the units of the first one's outcome over which it fans out; without it, the
    step runs on that one's unit. ``serves``: the levels for whose sake it runs: a datatake of which none is made leaves
    it out.

    Over ``part``, a datastrip that is longer than ``split`` says is cut into virtual datastrips, each processed as one;
    without ``split``, and where it is not longer, the datastrip itself is the only part.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,15}$")]
    level: str
    after: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    over: Literal["datastrip", "part", "tile"] | None = None
    serves: tuple[str, ...] = ()
    split: Split | None = None

    @model_validator(mode="after")
    def _known_level(self) -> Self:
        for level in (self.level, *self.serves):
            if level not in BUDGETS:
                raise ValueError(f"level: expected one of {', '.join(BUDGETS)}")
        return self


class Workflow(Model):
    """A graph with a processor set bound to it.

    ``steps`` are those that the set binds. A step that it does not bind is passed through: what comes after it comes
    after what it came after, unless another step is there to wait for. ``roots``: where an image has its programs.
    ``datatakes``: which levels a datatake asks for.
    """

    set_name: str
    site: Annotated[str, Field(pattern=r"^[A-Z0-9_]{4}$")]
    baseline: Annotated[str, Field(pattern=r"^\d{2}\.\d{2}$")]
    roots: dict[str, str] = Field(default_factory=dict)
    datatakes: Datatakes
    steps: tuple[Step, ...]
    processors: dict[str, Processor]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        known = {"session"}
        for step in self.steps:
            for before in step.after:
                if before not in known:
                    raise ValueError(f"step {step.name}: after: no step {before} stands before it")
            known.add(step.name)
        for name in self.processors:
            if name not in known or name == "session":
                raise ValueError(f"processors: {name}: expected one of {', '.join(s.name for s in self.steps)}")
        object.__setattr__(self, "steps", tuple(self._bound()))
        for step in self.steps:
            self._check_units(step)
            self._check_inputs(step)
        return self

    def _bound(self) -> Iterator[Step]:
        passed: dict[str, Step] = {}
        for step in self.steps:
            first = passed.get(step.after[0])
            after = tuple(name for name in step.after if name not in passed) or (first.after if first else ())
            # A cut into parts is made by whichever step comes first.
            over = "part" if first is not None and first.over == "part" and step.over is None else step.over
            found = step.model_copy(update={"after": after, "over": over})
            if step.name in self.processors:
                split = self.processors[step.name].split
                if split is not None and over != "part":
                    raise ValueError(f"processors: {step.name}: split: this step does not run on parts of datastrips")
                yield found.model_copy(update={"split": split})
            elif over not in {None, "part"} or "session" in after:
                raise ValueError(f"processors: none for step {step.name}, which cannot be passed through")
            else:
                passed[step.name] = found

    def _check_units(self, step: Step) -> None:
        """A step on a datastrip cannot wait for one on its tiles: which of them?"""
        for before in step.after[1:]:
            if UNITS.index(self.unit(before)) > UNITS.index(self.unit(step.name)):
                raise ValueError(f"step {step.name}: after: {before} runs on smaller units")

    def _check_inputs(self, step: Step) -> None:
        processor = self.processors[step.name]
        for needed in processor.inputs:
            if needed.source not in step.after:
                raise ValueError(
                    f"step {step.name}: input {needed.file_type}: source: expected {' or '.join(step.after)}"
                )
            if needed.source == "session":
                continue
            made = {output.artifact for output in self.processors[needed.source].outputs}
            if needed.artifact not in made:
                raise ValueError(
                    f"step {step.name}: input {needed.file_type}: {needed.source} makes no {needed.artifact}"
                )
        for link in processor.links:
            if link.source not in step.after:
                raise ValueError(f"step {step.name}: link {link.what}: source: expected {' or '.join(step.after)}")
            source = self.processors.get(link.source)
            if source is None:
                raise ValueError(f"step {step.name}: link {link.what}: source: expected a step, found {link.source}")
            if processor.shared is None or source.shared != processor.shared:
                raise ValueError(f"step {step.name}: link {link.what}: {link.source} has another shared volume")

    def step(self, name: str) -> Step:
        """The step called ``name``; ConfigurationError where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise ConfigurationError(f"step {name}: expected one of {', '.join(s.name for s in self.steps)}")

    def unit(self, name: str) -> str:
        """What a step runs on: ``session``, ``datastrip``, ``part`` or ``tile``."""
        if name == "session":
            return "session"
        step = self.step(name)
        return step.over or self.unit(step.after[0])

    def after(self, name: str) -> tuple[Step, ...]:
        """The steps that wait for an outcome of ``name`` (or ``session``), alone or with others."""
        return tuple(step for step in self.steps if name in step.after)

    def downstream(self, name: str) -> tuple[Step, ...]:
        """All steps that depend on ``name``, itself first."""
        found = [self.step(name)]
        for step in self.steps:
            if not {s.name for s in found}.isdisjoint(step.after):
                found.append(step)
        return tuple(found)

    # What a session adds to its set. Kept as cached properties, which a copy has too: pydantic's private attributes
    # take ten times as long to be read, and these are read with each step of each work item.
    @cached_property
    def ruling(self) -> Ruling:
        """What the strategy of a session decides: nothing, unless this is the workflow of one."""
        return Ruling()

    @cached_property
    def others(self) -> Mapping[str, Workflow]:
        """The sets that parts of a session may be bound to, by name: none, unless this is the workflow of one."""
        return {}

    @cached_property
    def reruns(self) -> Reruns:
        """What of the session is made anew: nothing, unless this is the workflow of one."""
        return NONE

    def under(self, ruling: Ruling, others: Mapping[str, Workflow] | None = None) -> Workflow:
        """The same for a session, under its strategy. ``others``: the sets that it may bind parts of it to, by name."""
        split = ruling.whole.decision.split
        found = self.with_split(split) if split is not None else self.model_copy()
        vars(found).update(ruling=ruling, others=dict(others or {}))
        return found

    @property
    def sets(self) -> tuple[Workflow, ...]:
        """All that work of the session may be bound to, its own first."""
        return (self, *self.others.values())

    def binding(self, decided: Decided) -> Workflow:
        """The set that work is bound to of which this was decided; ConfigurationError where that was not given."""
        name = decided.decision.processor_set
        if name is None or name == self.ruling.whole.decision.processor_set:
            return self
        if name not in self.others:
            raise ConfigurationError(
                f"processor set {name}: it was not read for the session {self.ruling.session.unit}"
            )
        return self.others[name]

    def made_by(self, processor_set: str) -> Workflow:
        """The set of this name that work was bound to, as its outcome tells; empty: that of the settings."""
        return self.others.get(processor_set, self)

    def anew(self, reruns: Iterable[Rerun]) -> Workflow:
        """The same for a session of which this was asked for anew. What a step is that the set has not, is left out."""
        names = {step.name for step in self.steps}
        found = self.model_copy()
        vars(found)["reruns"] = sorted_out(
            reruns, lambda step: [each.name for each in self.downstream(step)] if step in names else []
        )
        return found

    def with_split(self, split: Split | None) -> Workflow:
        """The same with datastrips cut so, or not cut."""
        steps = (step.model_copy(update={"split": split}) if step.over == "part" else step for step in self.steps)
        return self.model_copy(update={"steps": tuple(steps)})

    def publishes(self, step: str) -> tuple[Output, ...]:
        """The outputs of a step that become products."""
        return tuple(output for output in self.processors[step].outputs if output.publish)

    def levels(self, step: str) -> frozenset[str]:
        """The levels of what a step publishes, whichever set its work is bound to."""
        bound = (each for each in self.sets if step in each.processors)
        return frozenset(str(output.publish) for each in bound for output in each.publishes(step))


def _load(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"workflow file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"workflow file {path}: no YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"workflow file {path}: expected a mapping, found {type(document).__name__}")
    return document


@cache
def load_workflow(processor_set: str) -> Workflow:
    """The graph with a processor set: a name of one that comes with the service, or the path of a YAML file."""
    path = Path(processor_set) if "/" in processor_set else _HERE / "processors" / f"{processor_set}.yaml"
    document = {**_load(_HERE / "graph.yaml"), "datatakes": _load(_HERE / "datatakes.yaml"), **_load(path)}
    try:
        return Workflow.model_validate(document)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigurationError(f"workflow {path.name}: {wrong}") from None
