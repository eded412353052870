"""What to do where the auxiliary files of a job are not all there: wait, and then fall back, go on without, or park.

Rule 5: every wait has a deadline, and what is then done, and why, is written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.domain.auxiliary.names import AuxiliaryName
from shared.domain.auxiliary.policies import PolicyName, Window
from shared.domain.auxiliary.selection import AuxiliarySet, Choice, Requirement, choose, select


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WaitRule(_Model):
    """How long a job waits for a file, and what it does then.

    ``fall-back``: take what the policy ``fallback`` chooses among all files of the type, park where that is nothing.
    ``go-on``: run without it. ``park``: an operator must act. An optional type never parks its job.
    """

    wait_s: Annotated[float, Field(ge=0)] = 1800.0
    then: Literal["fall-back", "go-on", "park"] = "park"
    fallback: PolicyName = "LatestValidity"


class WaitRules(_Model):
    """A rule for each type named, and one for all others; optional ones are not waited for unless they are named."""

    default: WaitRule = WaitRule()
    optional: WaitRule = WaitRule(wait_s=0, then="go-on")
    types: dict[str, WaitRule] = Field(default_factory=dict)

    def of(self, wanted: Requirement) -> WaitRule:
        return self.types.get(wanted.type) or (self.default if wanted.mandatory else self.optional)


class Awaited(_Model):
    """A file that is waited for: ``until`` when, and what is done ``then``, in words."""

    wanted: Requirement
    until: AwareDatetime
    then: str

    def __str__(self) -> str:
        return f"{self.wanted} ({self.wanted.policy}) until {self.until:%Y-%m-%dT%H:%M:%SZ}, then {self.then}"


class AuxiliaryDecision(_Model):
    """What a job does now.

    ``run``: ``chosen`` is what it runs with. ``wait``: for what is ``awaited``; ask again when a file comes, and at
    ``until`` at the latest. ``park``: ``reason`` says for whom. ``chosen`` is the standing in any case, ``fallen_back``
    and ``reason`` what was decided for want of a file, a sentence each. ``warnings``: those of ``fallen_back`` that
    belong on the product, since the file is mandatory or a rule of its own names it.
    """

    action: Literal["run", "wait", "park"]
    chosen: AuxiliarySet
    until: AwareDatetime | None = None
    reason: str = ""
    fallen_back: tuple[str, ...] = ()
    awaited: tuple[Awaited, ...] = ()
    warnings: tuple[str, ...] = ()


def decide(
    wanted: Sequence[Requirement],
    files: Mapping[str, Iterable[AuxiliaryName]],
    satellite: str,
    window: Window,
    *,
    since: datetime,
    now: datetime,
    rules: WaitRules,
) -> AuxiliaryDecision:
    """Decide for a job that has asked for its auxiliary files ``since``. The same question gets the same answer.

    Parking comes before waiting: what is past its deadline for good does not get better by another file. Waiting comes
    before falling back: until the last wait is over, the right file may still come.
    """
    held = {kind: list(names) for kind, names in files.items()}
    found = select(wanted, held, satellite, window)
    choices, awaited, parked, fallen_back = list[Choice](), list[Awaited](), list[str](), list[Choice]()
    for choice in found.choices:
        rule = rules.of(choice.requirement)
        deadline = since + timedelta(seconds=rule.wait_s)
        if choice.chosen:
            choices.append(choice)
        elif now < deadline:
            choices.append(choice)
            awaited.append(Awaited(wanted=choice.requirement, until=deadline, then=_then(choice.requirement, rule)))
        else:
            instead = _instead(choice, rule, held, satellite, window)
            choices.append(instead)
            if instead.chosen or not _needed(choice.requirement, rule):
                fallen_back += [instead] if instead.note else []
            else:
                parked.append(f"{choice.requirement}: {instead.note}")
    chosen = AuxiliarySet(satellite=satellite, choices=tuple(choices))
    said = tuple(f"{each.requirement}: {each.note}" for each in fallen_back)
    if parked:
        return AuxiliaryDecision(action="park", chosen=chosen, reason="; ".join(parked), fallen_back=said)
    if awaited:
        waiting = "; ".join(f"{each.wanted} is awaited" for each in awaited)
        until = min(each.until for each in awaited)
        return AuxiliaryDecision(action="wait", chosen=found, until=until, reason=waiting, awaited=tuple(awaited))
    told = [each for each in fallen_back if each.requirement.mandatory or each.requirement.type in rules.types]
    warnings = tuple(f"{each.requirement}: {each.note}" for each in told)
    return AuxiliaryDecision(action="run", chosen=chosen, reason="; ".join(said), fallen_back=said, warnings=warnings)


def _then(wanted: Requirement, rule: WaitRule) -> str:
    """What is done when the wait for a file is over, in words."""
    if rule.then == "fall-back":
        without = "" if wanted.mandatory else ", or goes on without"
        return f"it takes what {rule.fallback} chooses{without or ', or is parked'}"
    return "it is parked" if _needed(wanted, rule) else "it goes on without"


def _needed(wanted: Requirement, rule: WaitRule) -> bool:
    return wanted.mandatory and rule.then != "go-on"


def _instead(
    choice: Choice, rule: WaitRule, held: Mapping[str, Sequence[AuxiliaryName]], satellite: str, window: Window
) -> Choice:
    """What is taken where nothing came in time; its note says what was decided."""
    wanted = choice.requirement
    waited = f"none by {wanted.policy} within {rule.wait_s:g} s"
    if rule.then != "fall-back":
        note = f"{waited}, gone on without" if not _needed(wanted, rule) else f"{waited}, parked as configured"
        return choice.model_copy(update={"note": note})
    fit = [
        file
        for file in held.get(wanted.type, ())
        if file.serves(satellite) and (wanted.band is None or file.band == wanted.band)
    ]
    instead = choose(wanted, fit, window, rule.fallback)
    result = f"fallen back to {rule.fallback}" if instead.chosen else f"none by {rule.fallback} either"
    without = "" if instead.chosen or wanted.mandatory else ", gone on without"
    return instead.model_copy(update={"note": f"{waited}, {result}{without}"})
