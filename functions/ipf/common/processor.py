"""How every open processor is called: one job order in, exit code and log lines out.

Exit codes (Generic IPF interface): 0 success, 1..127 a product made but degraded, 128 and above failure. A log line is
``<UTC> <host> <processor> <version> [<pid>]: [<type>] <text>``, types D, I, P, W and E.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

from shared.errors import BadInputError, RetryableError, S2psError
from shared.joborder import JobOrder, read_job_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Exit(IntEnum):
    """What an open processor's exit code means."""

    OK = 0
    DEGRADED = 1
    BAD_INPUT = 128
    FAILED = 129
    RETRY = 130
    NO_MEMORY = 131
    BUG = 255


@dataclass(frozen=True, slots=True)
class IpfLog:
    """Log of one run, a line at a time, each flushed: the reader may be watching, the next line may never come."""

    name: str
    version: str
    stream: TextIO

    def debug(self, text: str) -> None:
        """Details for whoever looks for an error."""
        self._write("D", text)

    def info(self, text: str) -> None:
        """What was done."""
        self._write("I", text)

    def progress(self, text: str) -> None:
        """How far it got."""
        self._write("P", text)

    def warning(self, text: str) -> None:
        """The product is made, but something is missing or doubtful."""
        self._write("W", text)

    def error(self, text: str) -> None:
        """Why there is no product."""
        self._write("E", text)

    def _write(self, kind: str, text: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        head = f"{now} {platform.node() or 'localhost'} {self.name} {self.version} [{os.getpid():010d}]"
        for line in text.splitlines() or [""]:
            self.stream.write(f"{head}: [{kind}] {line}\n")
        self.stream.flush()


def run_processor(
    name: str, version: str, main: Callable[[JobOrder, IpfLog], int], argv: Sequence[str] | None = None
) -> int:
    """Read the job order that the command line names, run ``main``, and turn its errors into a log line and an exit
    code.
    """
    arguments = sys.argv[1:] if argv is None else argv
    journal = IpfLog(name, version, sys.stdout)
    if len(arguments) != 1:
        journal.error(f"expected one argument, the job order's path, found {len(arguments)}")
        return Exit.BAD_INPUT
    try:
        order = read_job_order(arguments[0])
        journal.info(f"job order {arguments[0]}")
        code = int(main(order, journal))
    except BadInputError as error:
        journal.error(str(error))
        return Exit.BAD_INPUT
    except RetryableError as error:
        journal.error(str(error))
        return Exit.RETRY
    except (S2psError, OSError) as error:
        journal.error(str(error))
        return Exit.FAILED
    except MemoryError as error:
        # The runner knows these words: the next attempt gets more memory.
        journal.error(f"{os.strerror(errno.ENOMEM)}: {' '.join(str(error).split()) or type(error).__name__}")
        return Exit.NO_MEMORY
    except Exception as error:  # noqa: BLE001 - the caller sees only exit code and log
        journal.debug(traceback.format_exc())
        journal.error(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}")
        return Exit.BUG
    journal.info(f"exit code {code}")
    return code
