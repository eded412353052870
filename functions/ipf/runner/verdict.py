"""What an attempt came to: the status class, from exit code and outputs. Pure.

An exit code alone proves nothing: an IPF may say 0 and have made half of its outputs. Source of the codes: the generic
interface of the PDGS IPFs (0 good, 1 to 127 product made with warnings, 128 and above error).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.ipf.runner.job import Execution
from functions.ipf.runner.tables import Ruling
from shared.ledger.records import StatusClass
from shared.workflow.graph import Processor

_LINE: Final = re.compile(r"\[\d+\]: \[(?P<kind>[DIPWE])\] (?P<text>.*)")
_MOST: Final = 20
# As Kubernetes names it; job_launch doubles the memory of the attempt after one that ended with this reason.
OUT_OF_MEMORY: Final = "OOMKilled"
# By SIGKILL or SIGTERM: the IPF itself, or what it started, as a shell passes it on.
_KILLED: Final = frozenset({128 + 9, 128 + 15})
# By which a program dies of itself: illegal instruction, trap, abort, bus error, arithmetic, segment, system call.
_CRASHES: Final = frozenset({4, 5, 6, 7, 8, 11, 31})
# What a shell, and ipf.sh, ends with where a command cannot be executed or is not there.
_NO_COMMAND: Final = {126: "cannot be executed", 127: "is not there"}
_NO_SPACE: Final = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
_NO_MEMORY: Final = (os.strerror(errno.ENOMEM), "MemoryError", "std::bad_alloc", "java.lang.OutOfMemoryError")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` says why there is no product, ``warnings`` what is to be known of the one that is there."""

    status: StatusClass
    reason: str = ""
    warnings: tuple[str, ...] = ()


def judge(
    processor: Processor,
    execution: Execution,
    made: Sequence[str],
    log: Sequence[str],
    ruling: Ruling | None = None,
) -> Verdict:
    """The verdict on an IPF's run; ``made`` holds the file types of which at least one output is there and valid.

    ``ruling`` is what the status tables say, where the processor has any: then an exit code other than 0 is an error.
    """
    code = execution.exit_code
    stopped = _stopped(processor, execution, made, log)
    if stopped is not None:
        return stopped
    if ruling is not None and ruling.trouble:
        return _ruled(ruling, log)
    if code in processor.retry_exits:
        return Verdict("retry", f"exit code {code}{_because(log)}")
    warned = _warned(processor, code)
    if code != 0 and not warned:
        how = f"ended by signal {code - 128}" if code - 128 in _CRASHES else f"exit code {code}"
        return Verdict("failed", f"{how}{_because(log)}")
    if warned and not made:
        return Verdict("no-product", f"exit code {code}, nothing was made{_because(log)}")
    absent = [o.file_type for o in processor.outputs if o.mandatory and o.file_type not in made]
    if absent:
        return Verdict("failed", f"exit code {code}, but mandatory outputs are absent: {', '.join(absent)}")
    warnings = said(log, "W")[:_MOST]  # processors tell of their inputs first, then of what follows from them
    if warned:
        return Verdict("succeeded-with-warnings", warnings=(f"exit code {code}", *warnings))
    if ruling is not None and ruling.warnings:
        return Verdict("succeeded-with-warnings", warnings=(*ruling.warnings[:_MOST], *warnings))
    return Verdict("succeeded", warnings=warnings)


def _stopped(processor: Processor, execution: Execution, made: Sequence[str], log: Sequence[str]) -> Verdict | None:
    """What kept the IPF from its end, or its command from its beginning; None where nothing did."""
    code = execution.exit_code
    if execution.timed_out:
        return Verdict("retry", f"DeadlineExceeded: stopped after {execution.seconds:.0f} s")
    if execution.hung:
        return Verdict("retry", f"Hung: no output for {processor.quiet_limit_s} s{_because(log)}")
    if execution.out_of_memory:
        return Verdict("infrastructure", OUT_OF_MEMORY)
    fine = _warned(processor, code) and bool(made)
    if code != 0 and not fine and any(word in line for line in log for word in _NO_MEMORY):
        return Verdict("infrastructure", OUT_OF_MEMORY)
    if code in _NO_COMMAND and not made:
        number = execution.exits.index(code) if code in execution.exits else 0
        what = f"ConfigurationError: processor command {processor.calls[number][0]} {_NO_COMMAND[code]}"
        return Verdict("infrastructure", f"{what} (exit code {code}){_because(log)}")
    if code in _KILLED:
        return Verdict("infrastructure", f"stopped from outside by signal {code - 128}")
    if code != 0 and (execution.disk_full or any(word in line for line in log for word in _NO_SPACE)):
        return Verdict("infrastructure", f"DiskFull: exit code {code}{_because(log)}")
    return None


def _ruled(ruling: Ruling, log: Sequence[str]) -> Verdict:
    """The verdict by the tables, where they tell of trouble."""
    reason = ruling.reason
    if ruling.trouble == "late":
        return Verdict("retry", f"DeadlineExceeded: {reason}")
    if ruling.trouble == "memory":
        return Verdict("infrastructure", f"{OUT_OF_MEMORY}: {reason}")
    if ruling.trouble == "killed":
        return Verdict("infrastructure", reason)
    if ruling.trouble == "configuration":
        return Verdict("infrastructure", f"ConfigurationError: {reason}")
    return Verdict("failed", f"{reason}{_because(log)}")


def _warned(processor: Processor, code: int) -> bool:
    """Whether an exit code means: made, with warnings. To the Launcher, whatever is not 0 is an error."""
    first, last = processor.warning_exits
    return first <= code <= last and processor.status == "exit-code"


def said(log: Sequence[str], kinds: str) -> tuple[str, ...]:
    """The texts of the log's lines of these kinds (``W``, ``E``), each once."""
    texts = [match["text"][:300] for line in log if (match := _LINE.search(line)) and match["kind"] in kinds]
    return tuple(dict.fromkeys(texts))


def _because(log: Sequence[str]) -> str:
    """The last error that the IPF logged, else its last warning, else its last line."""
    for found in (said(log, "E"), said(log, "W"), tuple(line for line in log if line.strip())[-1:]):
        if found:
            return f": {found[-1][:300]}"
    return ""
